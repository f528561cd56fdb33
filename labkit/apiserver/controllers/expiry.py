"""Events are forgotten an hour after they were last seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from labkit.apiserver import kinds, registry, timestamps, watching
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import events, kind
from labkit.model import resources

#: How often to look. An event may so live a little longer than its hour.
PERIOD_S = 60.0


def plan_expired(
    objects: Iterator[watching.Stored], now: float, expires_s: float
) -> list[watching.Stored]:
    return [stored for stored in objects if _last_seen(stored.object) + expires_s <= now]


def _last_seen(obj: resources.Object) -> float:
    moment = events.last_seen(obj)
    return timestamps.parse(moment) if moment else 0.0


class Controller:
    """Deletes what has expired."""

    def __init__(self, objects: controller.Cluster) -> None:
        self._objects = objects

    async def run(self) -> None:
        while True:
            for member in kinds.KINDS:
                if member.expires_s is not None:
                    self._expire(member, member.expires_s)
            await asyncio.sleep(PERIOD_S)

    def _expire(self, member: kind.Kind, expires_s: float) -> None:
        found = self._objects.store.list(member.resource)
        for stored in plan_expired(found, self._objects.clock(), expires_s):
            self._objects.delete(member, stored.namespace, stored.name, registry.DeleteOptions())
