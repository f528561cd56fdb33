"""Put a bundle together. This is the one command that needs internet; what it makes needs none."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labkit import errors, local, version
from labkit.boxes import catalogue, store
from labkit.bundles import manifest
from labkit.model import events

STEPS = 3
#: A slow mirror on a workshop's network.
PIP_TIMEOUT_S = 1800.0

_INSTALL = """\
#!/bin/sh
# labkit from this folder alone, into a virtual environment of its own: sh install.sh [FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python3 -m venv "${1:-$here/venv}"
"${1:-$here/venv}/bin/python" -m pip install --quiet --no-index --find-links "$here/wheels" @WHAT@
echo "now: ${1:-$here/venv}/bin/labkit up --bundle $here"
"""


def pack(
    target: Path, boxes: Sequence[catalogue.Box], progress: events.Progress, *, extra: str = ""
) -> manifest.Manifest:
    """Write a bundle to `target`: one file where it ends with .tar, else a new folder.

    `extra` names the optional dependencies whose wheels are wanted as well.
    """
    if target.exists():
        raise errors.UsageError(f"{target} is there already", hint="choose another name")
    try:
        with tempfile.TemporaryDirectory(prefix=".bundle-", dir=target.parent) as work:
            folder = Path(work) / "bundle"
            made = _fill(folder, boxes, progress, extra)
            with progress.step("write it"):
                _write(folder, Path(work), target)
    except OSError as error:
        raise errors.DiskFull(
            f"{target} cannot be written: {error.strerror or error}", hint="free some room there"
        ) from error
    return made


def _fill(
    folder: Path, boxes: Sequence[catalogue.Box], progress: events.Progress, extra: str
) -> manifest.Manifest:
    what = f"labkit[{extra}]" if extra else "labkit"
    with progress.step("collect wheels"):
        (folder / "wheels").mkdir(parents=True)
        _collect_wheels(folder / "wheels", extra)
    with progress.step("collect boxes and notebooks"):
        (folder / "boxes").mkdir()
        for box in boxes:
            shutil.copyfile(store.folder() / box.file, folder / "boxes" / box.file)
        notebooks = _source() / "notebooks"
        if notebooks.is_dir():
            shutil.copytree(notebooks, folder / "notebooks")
        (folder / "install.sh").write_text(_INSTALL.replace("@WHAT@", f'"{what}"'))
    made = manifest.Manifest(
        version.__version__,
        store.architecture(),
        f"{sys.version_info.major}.{sys.version_info.minor}",
        tuple(look(folder).values()),
    )
    (folder / manifest.NAME).write_text(manifest.render(made))
    return made


def _source() -> Path:
    return Path(version.__file__).parents[1]


def _collect_wheels(folder: Path, extra: str) -> None:
    """The wheel of labkit and those of all that it needs, built or downloaded by pip."""
    source = _source()
    options = f"[{extra}]" if extra else ""
    is_checkout = (source / "pyproject.toml").exists()
    wanted = f"{source}{options}" if is_checkout else f"labkit{options}=={version.__version__}"
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    local.run([*pip, "--wheel-dir", str(folder), wanted], timeout_s=PIP_TIMEOUT_S)


def look(folder: Path) -> dict[str, manifest.File]:
    """Every file of a folder as it is, but for the manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != manifest.NAME:
            with path.open("rb") as file:
                total = hashlib.file_digest(file, "sha256").hexdigest()
            found[name] = manifest.File(name, path.stat().st_size, total)
    return found


def _write(folder: Path, work: Path, target: Path) -> None:
    if target.suffix != ".tar":
        folder.replace(target)
        return
    fresh = work / "fresh.tar"
    with tarfile.open(fresh, "w") as tar:
        tar.add(folder / manifest.NAME, manifest.NAME)  # first, so that it is read first
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name != manifest.NAME:
                tar.add(path, name)
    fresh.replace(target)
