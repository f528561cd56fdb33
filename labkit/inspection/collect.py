"""Reading live state: one round trip to each node, all side by side; three requests to the API.

A node that does not answer is a finding, not a failure: its NodeState says so in `trouble`, and
the others are shown all the same.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from labkit import errors
from labkit.inspection import sockets
from labkit.model import commands, resources, rules, ruletext, spec

if TYPE_CHECKING:
    from labkit.client import http

Result = TypeVar("Result")

_SECTION = re.compile(r"--- labkit (?P<name>[a-z]+)")
_FAILED = re.compile(r"--- labkit failed (?P<name>[a-z]+) (?P<status>\d+)")


class Connection(Protocol):
    """What inspection asks of an SSH connection: programs and scripts, run as root."""

    @property
    def name(self) -> str: ...

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30, check: bool = True
    ) -> commands.Command: ...

    def script(self, text: str, *, check: bool = True) -> commands.Command: ...


class Stream(Protocol):
    """A program that goes on: its lines as they come. It ends when its stdin does."""

    def lines(self) -> Iterator[str]: ...

    def say(self, line: str) -> None: ...

    def end(self) -> None: ...


class Streams(Protocol):
    """Where a program can go on while others run."""

    @property
    def name(self) -> str: ...

    def stream(self, argv: Sequence[str]) -> AbstractContextManager[Stream]: ...


class Streaming(Connection, Streams, Protocol):
    """A connection that can do both."""


class Connections(Protocol):
    """One of them by name."""

    def connection(self, name: str) -> Streams: ...


class Machines(Protocol):
    """What inspection asks of the lab's pool of connections: work on many nodes at once."""

    def map(
        self, names: Iterable[str], func: Callable[[Connection], Result]
    ) -> dict[str, Result]: ...


class StreamingMachines(Machines, Protocol):
    """The same, of connections on which programs can go on."""

    def map(
        self, names: Iterable[str], func: Callable[[Streaming], Result]
    ) -> dict[str, Result]: ...


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node as it was a moment ago. `trouble` says why something could not be read.

    `pods`: who listens in those pods that were asked about, by the names of their namespaces.
    """

    node: spec.NodeSpec
    rules: rules.Ruleset = field(default_factory=rules.Ruleset)
    pods: Mapping[str, tuple[sockets.Socket, ...]] = field(default_factory=dict)
    sockets: tuple[sockets.Socket, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """What the API server has about one Service, and all pods of its namespace."""

    service: resources.Object
    endpoints: resources.Object | None
    pods: tuple[resources.Object, ...]


@functools.cache
def look_script() -> str:
    """The script is a file of its own, so that a learner can run it on a node: `sh look.sh`."""
    return Path(__file__).with_name("look.sh").read_text()


def read_nodes(
    machines: Machines,
    nodes: Iterable[spec.NodeSpec],
    *,
    service: str = "",
    pods: Iterable[str] = (),
) -> tuple[NodeState, ...]:
    """Read all these nodes at once, in the order given. Raises nothing for a dead node.

    With `service` (`namespace/name`), the rules of other Services are left out: on a node that has
    a thousand of them, that is most of what would be sent and read. `pods`: network namespaces of
    pods, on whichever node each may be, to see who listens there.
    """
    by_name = {node.name: node for node in nodes}
    asked = tuple(pods)
    states = machines.map(
        by_name,
        lambda connection: read_node(
            connection, by_name[connection.name], service=service, pods=asked
        ),
    )
    return tuple(states[name] for name in by_name)


def read_node(
    connection: Connection, node: spec.NodeSpec, *, service: str = "", pods: Sequence[str] = ()
) -> NodeState:
    asked = {"ONLY": service, "PODS": " ".join(pods)}
    words = "".join(f"{name}={shlex.quote(value)}\n" for name, value in asked.items() if value)
    try:
        command = connection.script(words + look_script(), check=False)
        return parse_look(node, command.stdout, command.stderr)
    except errors.LabkitError as error:
        return NodeState(node, trouble=error.message)


def read_objects(client: http.Client, name: str, namespace: str) -> Objects:
    """Raises NotFound for a Service that does not exist."""
    service = client.get(resources.SERVICES, name, namespace)
    try:
        endpoints = client.get(resources.ENDPOINTS, name, namespace)
    except errors.NotFound:
        endpoints = None
    pods = client.list(resources.PODS, namespace).get("items") or ()
    return Objects(service, endpoints, tuple(pods))


def parse_look(node: spec.NodeSpec, stdout: str, stderr: str = "") -> NodeState:
    """Read what the script printed. Raises RuleSyntaxError for rules that are none."""
    sections, failed = split_sections(stdout)
    nat, filter_ = (ruletext.parse_ruleset(sections.get(name, "")) for name in ("nat", "filter"))
    return NodeState(
        node,
        rules.Ruleset(nat.tables + filter_.tables),
        dict(_parse_pods(sections.get("pods", ""))),
        sockets.parse_sockets(sections.get("sockets", ""), sections.get("processes", "")),
        explain_missing({"nat", "filter", "sockets"}, sections, failed, stderr),
    )


def _parse_pods(text: str) -> Iterator[tuple[str, tuple[sockets.Socket, ...]]]:
    """A line `pod NAME` for each that could be looked into, and below it what `ss` printed."""
    for part in re.split(r"^pod ", text, flags=re.MULTILINE)[1:]:
        name, _, lines = part.partition("\n")
        yield name, sockets.parse_sockets(lines)


def split_sections(stdout: str) -> tuple[dict[str, str], list[str]]:
    """The text under each heading, and the names of those whose command failed."""
    sections: dict[str, list[str]] = {}
    failed: list[str] = []
    current: list[str] = []
    for line in stdout.splitlines():
        if found := _FAILED.fullmatch(line):
            failed.append(found["name"])
        elif found := _SECTION.fullmatch(line):
            current = sections[found["name"]] = []
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in sections.items()}, failed


def explain_missing(
    wanted: set[str], sections: dict[str, str], failed: list[str], stderr: str
) -> str:
    """What could not be read, and the last thing that was said about it; empty when all was."""
    missing = {*failed, *(wanted - sections.keys())}
    if not missing:
        return ""
    last = stderr.strip().splitlines()[-1:]
    return f"could not read {', '.join(sorted(missing))}" + (f": {last[0]}" if last else "")
