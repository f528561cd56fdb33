"""What is in a bundle: each file with its size and its SHA-256, and for which machines it is. Pure.

The manifest is the one file that is believed. A file that it does not name is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from labkit import errors

SCHEMA = "labkit.dev/bundle"
VERSION = 1
NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class File:
    """One file by its path in the bundle."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`python` is the one whose wheels are inside, such as 3.11."""

    labkit: str
    architecture: str
    python: str
    files: tuple[File, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, **asdict(self)}

    def under(self, folder: str) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.path.startswith(f"{folder}/"))

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def render(manifest: Manifest) -> str:
    return json.dumps(manifest.to_json(), indent=2) + "\n"


def parse(text: str, where: str) -> Manifest:
    """Raises ConfigError for what is no manifest, or one that leads out of its bundle."""
    try:
        data: Mapping[str, Any] = json.loads(text)
        _check_schema(data)
        files = tuple(File(**file) for file in data["files"])
        for file in files:
            _check_path(file.path)
        return Manifest(data["labkit"], data["architecture"], data["python"], files)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.ConfigError(
            f"{where} is not a bundle of this labkit: {error}",
            hint="`labkit bundle` makes one; use the same release on both machines",
        ) from error


def _check_schema(data: Mapping[str, Any]) -> None:
    if (data["schema"], data["version"]) != (SCHEMA, VERSION):
        raise ValueError(f"it is {data['schema']}, version {data['version']}")


def _check_path(path: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"{path} leads out of it")


def check_machine(manifest: Manifest, architecture: str, where: str) -> None:
    """Raise NotSupported on a machine of another kind."""
    if manifest.architecture != architecture:
        raise errors.NotSupported(
            f"{where} is for {manifest.architecture}; this machine is {architecture}",
            hint=f"make one on a machine that is {architecture}: `labkit bundle`",
        )


def compare(manifest: Manifest, found: Mapping[str, File]) -> Iterable[str]:
    """What is wrong with the files that are there, one line each."""
    for file in manifest.files:
        here = found.get(file.path)
        if here is None:
            yield f"{file.path} is missing"
        elif here.size != file.size:
            yield f"{file.path} has {here.size} bytes instead of {file.size}"
        elif here.sha256 != file.sha256:
            yield f"{file.path} has another checksum"
