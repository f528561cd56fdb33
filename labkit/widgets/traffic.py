"""Real requests at the press of a button, and a bar for each pod that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.display import bars
from labkit.inspection.predict import asking
from labkit.widgets import controls, view

if TYPE_CHECKING:
    from labkit.inspection.probe.report import Probe
    from labkit.lab import Lab

#: One probe keeps a node's connection busy for a second or two at this many.
MOST = 200


class Traffic(view.View):
    """Sends requests to one Service. `value` is the probe that was sent last."""

    def __init__(self, lab: Lab, service: str = "app1", *, namespace: str = "default") -> None:
        super().__init__(
            f"Traffic to {namespace}/{service}",
            [
                controls.Choice("sender", "From", list_senders(lab), value="client"),
                controls.Choice("via", "By", controls.same_words(*asking.VIAS), value="node-port"),
                controls.Number("count", "Requests", 10, least=1, most=MOST),
                controls.Button("send", "Send", "Send them now, one after another"),
            ],
            {"send": ("sending", self._request)},
        )
        self._lab, self._service, self._namespace = lab, service, namespace

    def _request(self, *, sender: str, via: str, count: int) -> None:
        request = asking.Request(self._service, self._namespace, sender=sender, via=via)
        found = self._lab.probe(request, count=count)
        self.show(found, say(found), draw_answers(found) + found._repr_html_())


def list_senders(lab: Lab) -> tuple[tuple[str, str], ...]:
    """Where a request can begin: outside, and on each node of the cluster."""
    outside = [node.name for node in lab.spec.nodes if node not in lab.spec.cluster]
    nodes = [(f"node/{node.name}", f"a process on {node.name}") for node in lab.spec.cluster]
    return (*((name, f"{name}, outside the cluster") for name in outside), *nodes)


def say(found: Probe) -> str:
    answered = sum(one.requests for one in found.answered)
    pods = len({one.pod for one in found.answered})
    by = f", by {pods} pod{'' if pods == 1 else 's'}" if pods else ""
    return f"{answered} of {found.count} requests were answered{by}"


def draw_answers(found: Probe) -> str:
    """A bar for each pod, and one for requests without an answer."""
    rows = [(f"{one.pod} on {one.pod_node}", one.requests) for one in found.answered]
    lost = sum(one.requests for one in found.failed)
    return bars.render([*rows, *([("no answer", lost)] if lost else [])], title="Who answered")
