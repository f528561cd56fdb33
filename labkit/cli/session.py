"""What one run of the command was told: filled by the shared options, used by every verb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from labkit.cli import world

if TYPE_CHECKING:
    from labkit.lab import Lab

#: A lab of three nodes is up in seconds; a slow machine with ten labs at once needs more.
TIMEOUT_S = 120.0


@dataclass
class Session:
    """`name` None means the lab file's. `output` is one of table, json, yaml, name."""

    world: world.World = field(default_factory=world.World)
    name: str | None = None
    output: str = "table"
    events: str = "auto"
    timeout_s: float = TIMEOUT_S
    yes: bool = False
    debug: bool = False

    def lab(self, overrides: Mapping[str, Any] | None = None) -> Lab:
        """The lab that this command is about; close it with `with`."""
        return self.world.open_lab(self.name, overrides)

    def agrees(self, question: str) -> bool:
        """Ask, unless --yes has answered. Where nobody can answer, the answer is no."""
        if self.yes:
            click.echo(question, err=True)
            return True
        return self.world.is_terminal() and self.world.ask(f"{question}\nGo on?")
