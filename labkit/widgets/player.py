"""One request's way, step by step: forward and back through a trace, over the lanes."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from labkit.inspection.predict import asking
from labkit.widgets import controls, traffic, view

if TYPE_CHECKING:
    from labkit.inspection.trace.joining import Hop, Step
    from labkit.inspection.trace.report import Trace
    from labkit.lab import Lab


#: What the form asks if nothing else is said.
_OUTSIDE = asking.Request("", sender="client", via="node-port")


class Player(view.View):
    """Sends one request and plays its way. `value` is the trace; `trace` is one to begin with."""

    def __init__(
        self,
        lab: Lab,
        service: str = "app1",
        *,
        namespace: str = "default",
        trace: Trace | None = None,
    ) -> None:
        asked = trace.request if trace and trace.request else _OUTSIDE
        senders = dict(traffic.list_senders(lab))
        senders.setdefault(asked.sender, asked.sender.replace("/", " ") or "the first worker")
        nodes = (("", "its own, or the first"), *((one.name, one.name) for one in lab.spec.cluster))
        super().__init__(
            f"The way of a request to {namespace}/{service}",
            [
                controls.Choice("sender", "From", tuple(senders.items()), asked.sender),
                controls.Choice("via", "By", controls.same_words(*asking.VIAS), asked.via),
                controls.Choice("node", "Node port of", nodes, asked.node),
                controls.Button("send", "Trace", "Send one request, and follow it"),
            ],
            {"send": ("following one request", self._follow)},
        )
        self._lab, self._service, self._namespace = lab, service, namespace
        if trace is not None:
            self._play(trace)

    def _follow(self, *, sender: str, via: str, node: str) -> None:
        asked = asking.Request(self._service, self._namespace, sender=sender, via=via, node=node)
        self._play(self._lab.trace(asked))

    def _play(self, found: Trace) -> None:
        self.show(found, say(found), draw_player(found))


def say(found: Trace) -> str:
    if found.verdict is None:
        return f"answered, in {len(found.hops)} hops"
    return f"no answer: it ended at {found.verdict.at}. Likely because {found.verdict.cause}"


def draw_player(found: Trace) -> str:
    """The lanes, and under them one hop at a time; `view.js` makes the buttons."""
    hops = "".join(_draw_hop(number, hop) for number, hop in enumerate(found.hops))
    return f"{found.draw()}{hops}"


def _draw_hop(number: int, hop: Hop) -> str:
    title = html.escape(f"{number + 1}: {hop.where}", quote=True)
    when = "" if hop.ms is None else f", {hop.ms:g} ms after its first packet"
    steps = "".join(_draw_step(step) for step in hop.steps)
    return (
        f'<section data-step="{number}" data-title="{title}">'
        f"<p><strong>{number + 1} · {html.escape(hop.where)}</strong>{when}</p>"
        f"<p>{html.escape(hop.what)}</p>{steps}</section>"
    )


def _draw_step(step: Step) -> str:
    rule = f"<pre>{html.escape(step.rule)}</pre>" if step.rule else ""
    return (
        f'<div class="labkit-words"><p><code>{html.escape(f"{step.table} {step.chain}")}</code>: '
        f"{html.escape(step.words)}</p>{rule}</div>"
    )
