"""The lab's id, which no other lab has, and the hosts that bear it as their mark."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from labkit import paths


@dataclass(frozen=True, slots=True)
class Record:
    mark: str
    hosts: tuple[str, ...] = ()


def read(path: Path) -> Record:
    """Return what is remembered; a lab that is new gets an id."""
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError:
        return Record(secrets.token_hex(8))
    return Record(said["mark"], tuple(said["hosts"]))


def write(path: Path, record: Record) -> None:
    text = json.dumps({"mark": record.mark, "hosts": list(record.hosts)})
    paths.ensure_file(path, text)
