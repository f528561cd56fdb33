"""What a fault is made of: steps that do and undo it, requests that prove both, and words."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from labkit.faults import facts
from labkit.model import commands, resources

Layer = Literal["objects", "rules", "proxy", "network", "clock"]
#: Where a fault can be, from what one asks the API for down to what carries the packets.
LAYERS: tuple[Layer, ...] = ("objects", "rules", "proxy", "network", "clock")
#: The name of no machine: the node of a fault that is in the API's objects.
CLUSTER = "cluster"
#: More characters than this nobody types: programs, certificates.
_TYPED = 600


@dataclass(frozen=True, slots=True)
class Step:
    """A program on a machine, as root; or, without `on`, a request to the API server.

    A request is written as one says it to kubectl: patch, create or delete, and of what.
    """

    on: str
    argv: tuple[str, ...]
    stdin: str = ""

    @property
    def line(self) -> str:
        """As one would type it, on the learner's own machine; what is long is only named."""
        if self.on:
            fed = f"printf %s {shlex.quote(_short(self.stdin))} | " if self.stdin else ""
            return fed + commands.Command(tuple(map(_short, self.argv)), node=self.on).line
        verb, kind, *name = self.argv
        if verb == "patch":
            return shlex.join(
                ("labkit", "kubectl", "patch", kind, *name, "--type=merge", "-p", self.stdin)
            )
        if verb == "create":
            return f"printf %s {shlex.quote(self.stdin)} | labkit apply -f -"
        return shlex.join(("labkit", "delete", kind, *name))


def _short(text: str) -> str:
    """The first line of a text that is longer than a person would type, such as a program."""
    return (
        text if len(text) <= _TYPED else f"{text[:_TYPED].splitlines()[0]} ... ({len(text)} long)"
    )


def shell(on: str, text: str, *words: str, stdin: str = "") -> Step:
    """A few lines of sh on a machine, with `words` as $1, $2, ..."""
    return Step(on, ("sh", "-c", text, "sh", *words) if words else ("sh", "-c", text), stdin)


def patch(kind: resources.Resource, name: str, body: resources.Object) -> Step:
    return Step("", ("patch", kind.plural, name), json.dumps(body))


def create(obj: resources.Object) -> Step:
    return Step("", ("create", obj["kind"]), json.dumps(obj))


def delete(kind: resources.Resource, name: str) -> Step:
    """Gone already is as good."""
    return Step("", ("delete", kind.plural, name))


@dataclass(frozen=True, slots=True)
class Ask:
    """A real request by curl, from a machine or (`pod`) from within a pod's network there."""

    machine: str
    url: str
    pod: str = ""
    #: So many bytes are sent along: a small request may pass where a big one does not.
    body: int = 0

    @property
    def words(self) -> str:
        who = f"pod {self.pod.partition('_')[2]} on {self.machine}" if self.pod else self.machine
        return f"{who} asks {self.url}" + (f" with {self.body} bytes" if self.body else "")

    def argv(self, seconds: float) -> tuple[str, ...]:
        """The command that sends it, and gives up after so many seconds."""
        curl = ("curl", "-sS", "--noproxy", "*", "--max-time", f"{seconds:g}")
        within = ("ip", "netns", "exec", self.pod) if self.pod else ()
        if not self.body:
            return (*within, *curl, self.url)
        send = shlex.join((*curl, "--data-binary", "@-", self.url))
        feed = f"head -c {self.body} /dev/zero | tr '\\0' x"
        return (*within, "sh", "-c", f"{feed} | {send}")

    @property
    def line(self) -> str:
        return commands.Command(self.argv(2), node=self.machine).line


@dataclass(frozen=True, slots=True)
class Change:
    """A fault in one lab: the undo of each step may run at any time, and more than once."""

    do: tuple[Step, ...]
    undo: tuple[Step, ...]
    asks: tuple[Ask, ...]


Redrawn = Literal["ports", "pods"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a Service can be broken.

    `plan` raises UsageError or NotSupported where this lab, or this node of it, cannot have it.
    `redraws` is what undoing makes anew instead of bringing it back: a proxy that starts again
    draws other proxy ports, and a pod that is made again may have another address.
    """

    id: str
    layer: Layer
    #: What is broken, in one line; what a user notices; how it comes about, and where it shows.
    title: str
    symptom: str
    cause: str
    plan: Callable[[facts.Facts], Change]
    #: On one node, or in the objects that all nodes follow.
    bound: Literal["node", "cluster"] = "node"
    redraws: tuple[Redrawn, ...] = ()
