"""Since when a change of endpoints has been on its way to the nodes.

Both controllers write it beside the endpoints: `endpoints.kubernetes.io/last-change-trigger-time`
is the moment of the first change, of a pod's readiness or of the Service itself, that the last
write answered. A proxy takes it from its own clock once the rules are in: that is its metric
`kubeproxy_network_programming_duration_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.apiserver import conditions, timestamps
from labkit.apiserver.controllers import keys
from labkit.model import resources

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class Seen:
    """The times of one Service and of its pods, as they were last looked at."""

    service: float = 0.0
    pods: dict[str, float] = field(default_factory=dict)


class Triggers:
    """Remembers what was seen of each Service, to tell what is new of it."""

    def __init__(self) -> None:
        self._seen: dict[keys.Key, Seen] = {}

    def forget(self, key: keys.Key) -> None:
        self._seen.pop(key, None)

    def first(
        self, key: keys.Key, service: resources.Object, chosen: Iterable[resources.Object]
    ) -> str | None:
        """When the first change happened since the last call; None: nothing that has a time."""
        before = self._seen.get(key, Seen())
        now = Seen(
            timestamps.parse(service["metadata"]["creationTimestamp"]),
            {pod["metadata"]["name"]: moment for pod in chosen if (moment := _ready_since(pod))},
        )
        self._seen[key] = now
        news = [at for name, at in now.pods.items() if at > before.pods.get(name, 0.0)]
        news += [now.service] if now.service > before.service else []
        return timestamps.render(min(news)) if news else None


def _ready_since(pod: resources.Object) -> float:
    """When a pod became ready, or ceased to be."""
    moment = conditions.find_condition(pod, "Ready").get("lastTransitionTime")
    return timestamps.parse(moment) if moment else 0.0


def note(obj: resources.Object, moment: str | None) -> resources.Object:
    """The object with its annotation, or without one where no time is known."""
    kept = {k: v for k, v in obj["metadata"].get("annotations", {}).items() if k != ANNOTATION}
    notes = {**kept, **({ANNOTATION: moment} if moment else {})}
    meta = {k: v for k, v in obj["metadata"].items() if k != "annotations"}
    return {**obj, "metadata": {**meta, **({"annotations": notes} if notes else {})}}
