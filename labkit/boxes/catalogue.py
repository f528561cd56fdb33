"""Which boxes there are, in the words that `vagrant box add` reads: a name, versions, files, sums.

Vagrant knows a box by name and version, and so does what it keeps of one: a box that was built anew
under an old version is not looked at. So each build has a version of its own, the time of it, and
the recipe's digest is noted beside it. Pure.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import errors
from labkit.boxes import recipe

#: What a Vagrantfile says: `config.vm.box = "labkit/node"`.
NAME = "labkit/node"

_FILE = re.compile(
    r"labkit-node_(?P<version>\d{8}\.\d{1,6})_(?P<provider>[a-z]+)_(?P<arch>[a-z0-9]+)"
    r"_(?P<digest>[0-9a-f]{16})\.box"
)


@dataclass(frozen=True, slots=True)
class Box:
    """One file. `digest` is its recipe's: two boxes with the same one hold the same machine."""

    version: str
    provider: recipe.Provider
    architecture: recipe.Architecture
    digest: str
    size: int = 0
    sha256: str = ""

    @property
    def file(self) -> str:
        parts = ("labkit-node", self.version, self.provider, self.architecture, self.digest)
        return "_".join(parts) + ".box"

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "provider": self.provider,
            "architecture": self.architecture,
            "file": self.file,
            "size": self.size,
            "sha256": self.sha256,
        }


def new(what: recipe.Recipe, now: datetime.datetime) -> Box:
    """The box that this recipe gives now."""
    version = f"{now:%Y%m%d}.{int(f'{now:%H%M%S}')}"
    return Box(version, what.provider, what.architecture, what.digest)


def parse_file(name: str) -> Box:
    """The box that a file's name tells of. Raises ConfigError for any other name."""
    found = _FILE.fullmatch(name)
    if not found or found["provider"] not in recipe.PROVIDERS:
        raise errors.ConfigError(
            f"{name} is not the name of a box that labkit has built",
            hint="`labkit box build` names them "
            "labkit-node_VERSION_PROVIDER_ARCHITECTURE_RECIPE.box; keep that name",
        )
    if found["arch"] not in recipe.ARCHITECTURES:
        raise errors.ConfigError(
            f"{name} is for {found['arch']}", hint=f"labkit knows {', '.join(recipe.ARCHITECTURES)}"
        )
    return Box(found["version"], found["provider"], found["arch"], found["digest"])


def order(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """The newest first."""
    return tuple(sorted(boxes, key=lambda box: [*map(int, box.version.split("."))], reverse=True))


def find(boxes: Sequence[Box], provider: str, architecture: str, digest: str = "") -> Box | None:
    """The newest box for this provider; with a `digest`, only one of that recipe."""
    fitting = (
        box
        for box in order(boxes)
        if (box.provider, box.architecture) == (provider, architecture)
        and digest in ("", box.digest)
    )
    return next(fitting, None)


def render(boxes: Sequence[Box], architecture: str, folder: Path) -> str:
    """The catalogue of one architecture, whose files are in `folder`."""
    here = [box for box in order(boxes) if box.architecture == architecture]
    versions = dict.fromkeys(box.version for box in here)
    catalogue = {
        "name": NAME,
        "description": "A machine of a lab, made from Debian's packages",
        "versions": [
            {
                "version": version,
                "providers": [
                    {
                        "name": box.provider,
                        "url": (folder / box.file).as_uri(),
                        "checksum_type": "sha256",
                        "checksum": box.sha256,
                    }
                    for box in here
                    if box.version == version
                ],
            }
            for version in versions
        ],
    }
    return json.dumps(catalogue, indent=2) + "\n"
