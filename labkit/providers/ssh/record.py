"""The lab's id, which no other lab has, and the hosts that bear it as their mark.

A host is remembered as it is reached, so that it can be given back when the lab file has long
forgotten it.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from labkit import paths
from labkit.model import spec


@dataclass(frozen=True, slots=True)
class Record:
    mark: str
    hosts: tuple[spec.HostSpec, ...] = ()


def read(path: Path) -> Record:
    """Return what is remembered; a lab that is new gets an id."""
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError:
        return Record(secrets.token_hex(8))
    return Record(said["mark"], tuple(spec.HostSpec(**host) for host in said["hosts"]))


def write(path: Path, record: Record) -> None:
    text = json.dumps(dataclasses.asdict(record))
    paths.ensure_file(path, text)
