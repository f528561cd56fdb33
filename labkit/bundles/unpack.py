"""Open a bundle and use what is in it, without one question to the network."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from labkit import errors
from labkit.boxes import catalogue, store
from labkit.bundles import manifest, pack


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was opened and found whole."""

    folder: Path
    manifest: manifest.Manifest


def open_bundle(path: Path) -> Bundle:
    """Open a file or folder; every file in it is compared with the manifest.

    Raises NothingMatched, ConfigError for a broken one, NotSupported for another kind of machine,
    DiskFull.
    """
    if not path.exists():
        raise errors.NothingMatched(
            f"there is no bundle {path}", hint="`labkit bundle FILE` makes one"
        )
    made = manifest.parse(_read_manifest(path), str(path))
    manifest.check_machine(made, store.architecture(), str(path))
    folder = path if path.is_dir() else _extract(path, made)
    wrong = list(manifest.compare(made, pack.look(folder)))
    if wrong:
        if folder != path:
            shutil.rmtree(folder)
        raise errors.ConfigError(
            f"{path} is not whole: {'; '.join(wrong[:3])}"
            + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
            hint="copy it again from where it was made",
        )
    return Bundle(folder, made)


def _read_manifest(path: Path) -> str:
    try:
        if path.is_dir():
            return (path / manifest.NAME).read_text()
        with tarfile.open(path) as tar:
            member = tar.extractfile(manifest.NAME)
            return member.read().decode() if member else ""
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise errors.ConfigError(
            f"{path} is not a bundle: its {manifest.NAME} cannot be read ({error})",
            hint="`labkit bundle FILE` makes one; copy it again where this is one",
        ) from error


def _extract(path: Path, made: manifest.Manifest) -> Path:
    """Unpack it where boxes are kept; once, for the same manifest."""
    name = hashlib.sha256(manifest.render(made).encode()).hexdigest()[:16]
    target = store.folder().parent / "bundles" / name
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as work:
            fresh = Path(work) / name
            with tarfile.open(path) as tar:
                _copy_out(tar, made, fresh)
            fresh.replace(target)
    except (EOFError, KeyError, tarfile.TarError) as error:
        raise errors.ConfigError(
            f"{path} is not whole: {error}", hint="copy it again from where it was made"
        ) from error
    except OSError as error:
        raise errors.DiskFull(
            f"{path} cannot be unpacked to {target.parent}: {error.strerror or error}",
            hint=f"{made.size / 1e6:.0f} MB are needed there, or set XDG_CACHE_HOME; "
            "a bundle that is a folder needs none",
        ) from error
    return target


def _copy_out(tar: tarfile.TarFile, made: manifest.Manifest, folder: Path) -> None:
    """The files of the manifest, whose paths were checked, and nothing else that may be inside.

    (`extractall` is safe only with a filter, which Debian 12's Python does not have.)
    """
    for name in (manifest.NAME, *(file.path for file in made.files)):
        source = tar.extractfile(name)
        if source is None:
            raise tarfile.ReadError(f"{name} is no file")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)


def provide_box(bundle: Bundle, provider: str = "") -> catalogue.Box:
    """Give Vagrant the box for `provider` (none: the only kind there is) out of the bundle."""
    names = [Path(file.path).name for file in bundle.manifest.under("boxes")]
    boxes = [catalogue.parse_file(name) for name in names]
    fitting = [box for box in catalogue.order(boxes) if provider in ("", box.provider)]
    if not fitting:
        raise errors.NothingMatched(
            f"the bundle has no box for {provider or 'any provider'}",
            hint="it has boxes for " + (", ".join(box.provider for box in boxes) or "none"),
        )
    box = store.add(bundle.folder / "boxes" / fitting[0].file)
    store.give_to_vagrant(box)
    return box
