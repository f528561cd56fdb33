"""One thing that happened: when, where, to what, and how."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from labkit.display import document, shown
from labkit.inspection import schema

SCHEMA, VERSION = "event", 1

#: Where what the API server says comes from.
API_SERVER = "API server"

#: A `source` is one of those whom we hear: a node or the API server, lost or found again.
Kind = Literal["rule", "connection", "service", "endpoints", "pod", "node", "source"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Verb = Literal["added", "changed", "removed", "began", "connected", "ended", "lost", "found"]


@dataclass(frozen=True, slots=True, repr=False)
class Event(shown.Shown):
    """`when` is in seconds since the epoch, by the clock of the machine that noticed it.

    `name` is what it happened to: `default/app1`, a node, a client's address, `nat KUBE-...`.
    `details` has a rule's text and who wrote it, or a connection's record as the journal has it.
    """

    when: float
    where: str
    kind: Kind
    verb: Verb
    name: str
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line, because events come by the dozen; `document` is for one alone."""
        head = f"{self._clock} {self.where:<10} {self.kind:<10} {self.verb:<9} {self.name}"
        return f"{head}  {self.text}".rstrip()

    def document(self) -> document.Section:
        told = document.Text(f"{self._clock} UTC, told by {self.where}")
        text = (document.Text(self.text),) if self.text else ()
        return document.Section(f"{self.kind} {self.verb}: {self.name}", (told, *text))

    @property
    def _clock(self) -> str:
        return self._moment.strftime("%H:%M:%S.%f")[:-3]

    @property
    def _moment(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.when, datetime.UTC)

    def to_json(self) -> dict[str, Any]:
        told = schema.envelope(SCHEMA, VERSION, self)
        return told | {"when": self._moment.isoformat(timespec="microseconds")}
