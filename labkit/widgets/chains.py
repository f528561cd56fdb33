"""The chains of a Service on every node, live: what moved is marked, each rule opens into words."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from labkit.inspection.explain import reading, rule
from labkit.widgets import controls, view

if TYPE_CHECKING:
    from labkit.inspection.nodes import SeenRule, ServiceOnNode
    from labkit.inspection.service import ServiceInspection
    from labkit.lab import Lab

#: Counters tell nobody that they moved, so they are read again this often, in seconds.
LIVE_S = 1.0

#: Packets by node, table and rule.
Counts: TypeAlias = Mapping[tuple[str, str, str], int]


class Chains(view.View):
    """Rules and counters of one Service. `value` is the inspection that was read last."""

    def __init__(self, lab: Lab, service: str = "app1", *, namespace: str = "default") -> None:
        super().__init__(
            f"Chains of {namespace}/{service}",
            [
                controls.Button("look", "Look", "Read the rules and their counters again"),
                controls.Switch("live", "every second", action="follow"),
            ],
            {"look": ("reading the rules", self._look), "follow": ("", self._follow)},
        )
        self._lab, self._service, self._namespace = lab, service, namespace
        self._counts: Counts = {}
        self._stop_following = threading.Event()
        self._stop_following.set()
        self.act("look")

    def _look(self, **_: object) -> None:
        found = self._lab.inspect(self._service, namespace=self._namespace)
        counts = dict(count(found))
        moved = find_moved(self._counts, counts) if self._counts else {}
        self._counts = counts
        self.show(found, say_moved(moved), draw_chains(found, moved))

    def _follow(self, *, live: bool) -> None:
        self._stop_following.set()
        if live:
            self._stop_following = threading.Event()
            stop = self._stop_following
            threading.Thread(target=self._keep_looking, args=(stop,), daemon=True).start()

    def _keep_looking(self, stop: threading.Event) -> None:
        """Look, and look again a while after it was seen. An error ends it: it is on the screen."""
        while not stop.wait(LIVE_S):
            if self.act("look").exception():
                return

    def close(self) -> None:
        self._stop_following.set()
        super().close()


def count(found: ServiceInspection) -> Iterator[tuple[tuple[str, str, str], int]]:
    for node in found.nodes:
        for port in node.ports:
            for each in port.rules:
                yield (node.name, each.table, each.text), each.packets


def find_moved(before: Counts, after: Counts) -> Counts:
    """By how many packets each rule moved. A rule that was written anew counts from nothing."""
    risen = {key: packets - before.get(key, 0) for key, packets in after.items()}
    return {key: more for key, more in risen.items() if more > 0}


def say_moved(moved: Counts) -> str:
    if not moved:
        return "no counter has moved since the last look"
    rules = "1 rule" if len(moved) == 1 else f"{len(moved)} rules"
    nodes = ", ".join(dict.fromkeys(node for node, _, _ in moved))
    return f"{rules} moved, on {nodes}"


def draw_chains(found: ServiceInspection, moved: Counts) -> str:
    """Each node with its rules; a rule unfolds into its words, its field and its text."""
    return "".join(_draw_node(node, moved) for node in found.nodes)


def _draw_node(node: ServiceOnNode, moved: Counts) -> str:
    problems = "".join(f"<p>✗ {html.escape(problem)}</p>" for problem in node.problems)
    rules = "".join(
        _draw_rule(node.name, each, moved.get((node.name, each.table, each.text), 0))
        for port in node.ports
        for each in port.rules
    )
    heading = html.escape(f"{node.name} ({node.role}, {node.address})")
    return f"<section><p><strong>{heading}</strong></p>{problems}{rules}</section>"


def _draw_rule(node: str, seen: SeenRule, more: int) -> str:
    key = html.escape(f"{node} {seen.table} {seen.text}", quote=True)
    mark = f' <span class="labkit-moved">▲ {more} more</span>' if more else ""
    packets = "1 packet" if seen.packets == 1 else f"{seen.packets} packets"
    typed = reading.parse_typed(seen.text)
    told = rule.explain_rule(typed.rule, table=seen.table)
    field = f"made by {seen.field}" if seen.field else "stale: no field of the Service asks for it"
    return (
        f'<details data-key="{key}"><summary><code>{html.escape(seen.chain)}</code> '
        f"{packets}{mark}</summary>"
        f'<div class="labkit-words"><p>{html.escape(told.sentence)}</p>'
        f"<p>{html.escape(field)}</p><pre>{html.escape(seen.text)}</pre></div></details>"
    )
