"""What the lab remembers of an API server that is not its own: written before the first change."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.ssh import keys


@dataclass(frozen=True, slots=True)
class Record:
    """`mark` is the value of the label on everything that the lab makes there, and of nothing else.

    `cluster` is the uid of the namespace kube-system, by which clusters are told apart. `holds` is
    true from before the first change until everything has been taken away again.
    """

    mark: str
    server: str
    cluster: str
    holds: bool
    #: The units that the lab runs for want of the server's own.
    components: tuple[str, ...] = ()
    #: Why the nodes have the kubeconfig's own credentials; empty: they have accounts of their own.
    shared_credentials: str = ""
    #: Tokens of those accounts, and when they run out, by component.
    tokens: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


def new_mark(lab: str) -> str:
    """Labs of the same name on different machines have different marks."""
    return f"{lab}-{secrets.token_hex(4)}"


def read(path: Path) -> Record | None:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return Record(**{**data, "components": tuple(data["components"])})


def write(path: Path, record: Record) -> None:
    keys.write_key(path, json.dumps(dataclasses.asdict(record), indent=2) + "\n")
