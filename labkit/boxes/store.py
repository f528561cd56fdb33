"""The boxes of this machine: ~/.cache/labkit/boxes, a sum beside each, and Vagrant's own copies.

A box without its sum is one whose copying was cut short: it does not count, and the next build or
`add` overwrites it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import shutil
import tarfile
from pathlib import Path

from labkit import errors, local, paths
from labkit.boxes import build, catalogue, package, recipe
from labkit.model import events

#: Unpacking some hundred megabytes on a slow disk.
ADD_TIMEOUT_S = 600.0

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}


def architecture() -> str:
    """What this machine is, by Debian's name."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "labkit" / "boxes"


def boxes() -> tuple[catalogue.Box, ...]:
    """All that are whole, the newest first."""
    return catalogue.order(
        _with_sum(path) for path in folder().glob("*.box") if _sum_file(path).exists()
    )


def _sum_file(box: Path) -> Path:
    return box.with_suffix(".sha256")


def _with_sum(path: Path) -> catalogue.Box:
    named = catalogue.parse_file(path.name)
    return catalogue.Box(
        named.version,
        named.provider,
        named.architecture,
        named.digest,
        path.stat().st_size,
        _sum_file(path).read_text().strip(),
    )


def ensure(
    what: recipe.Recipe, progress: events.Progress, *, anew: bool = False, mirror: str = ""
) -> catalogue.Box:
    """The box of this recipe: the one that is there, else a new one."""
    if not anew and (found := find(what)):
        return found
    box = catalogue.new(what, datetime.datetime.now(datetime.UTC))
    path = folder() / box.file
    build.build(what, path, progress, mirror)
    return _keep(path)


def find(what: recipe.Recipe) -> catalogue.Box | None:
    return catalogue.find(boxes(), what.provider, what.architecture, what.digest)


def add(path: Path) -> catalogue.Box:
    """Copy a box that was built elsewhere. Raises ConfigError for what is none, DiskFull."""
    named = catalogue.parse_file(path.name)
    check(path, named)
    target = folder() / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.resolve() != target.resolve():
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise errors.DiskFull(
                f"{path.name} cannot be copied to {target.parent}: {error.strerror}",
                hint="free some, or set XDG_CACHE_HOME to a larger disk",
            ) from error
    return _keep(target)


def check(path: Path, named: catalogue.Box) -> None:
    """Raise ConfigError unless the file is a whole box, for the provider that its name says."""
    hint = "build it again with `labkit box build`, or copy it again"
    try:
        with tarfile.open(path) as tar:
            names = set(tar.getnames())
            said = tar.extractfile("metadata.json")
            provider = json.load(said)["provider"] if said else ""
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError) as error:
        raise errors.ConfigError(f"{path} is not a whole box: {error}", hint=hint) from error
    if provider != named.provider:
        raise errors.ConfigError(f"{path} is a box for {provider}, not as its name says", hint=hint)
    if lacking := {package.PAYLOADS[named.provider], "Vagrantfile"} - names:
        raise errors.ConfigError(f"{path} lacks {', '.join(sorted(lacking))}", hint=hint)


def _keep(path: Path) -> catalogue.Box:
    with path.open("rb") as file:
        total = hashlib.file_digest(file, "sha256").hexdigest()
    paths.ensure_file(_sum_file(path), f"{total}\n")
    _write_catalogues()
    return _with_sum(path)


def catalogue_file(box: catalogue.Box) -> Path:
    return folder() / f"{box.architecture}.json"


def _write_catalogues() -> None:
    here = boxes()
    for arch in recipe.ARCHITECTURES:
        path = folder() / f"{arch}.json"
        if any(box.architecture == arch for box in here):
            paths.ensure_file(path, catalogue.render(here, arch, folder()))
        else:
            path.unlink(missing_ok=True)


def remove(box: catalogue.Box) -> None:
    """Forget a box here. Machines made of it go on."""
    path = folder() / box.file
    _sum_file(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    _write_catalogues()


def give_to_vagrant(box: catalogue.Box) -> bool:
    """Let Vagrant have it, for `config.vm.box = "labkit/node"`; False where it had it already.

    Asks no network: the catalogue and the box are files. Raises NotSupported without Vagrant.
    """
    if f"{catalogue.NAME} ({box.provider}, {box.version}" in _vagrant("box", "list"):
        return False
    _vagrant(
        *("box", "add", str(catalogue_file(box))),
        *("--provider", box.provider, "--box-version", box.version),
    )
    return True


def take_from_vagrant(box: catalogue.Box) -> None:
    if local.has("vagrant") and f"({box.provider}, {box.version}" in _vagrant("box", "list"):
        words = ("--provider", box.provider, "--box-version", box.version, "--force")
        _vagrant("box", "remove", catalogue.NAME, *words)


def _vagrant(*words: str) -> str:
    return local.run(["vagrant", *words], timeout_s=ADD_TIMEOUT_S).stdout
