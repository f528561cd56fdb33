"""Watches for every kind at once: each on a thread of its own, all heard by one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from labkit import errors
from labkit.apiserver.remote import cluster
from labkit.client import config as client_config
from labkit.client import watch
from labkit.model import resources

#: A first list of everything takes no longer, or something is wrong that a new start may mend.
SYNC_S = 60.0

Take = Callable[[resources.Resource, watch.Change], None]


@contextlib.asynccontextmanager
async def running(
    config: client_config.ClientConfig,
    objects: cluster.RemoteCluster,
    followed: Sequence[resources.Resource],
) -> AsyncIterator[None]:
    """Within this block the picture follows the server; it is whole from the beginning.

    Raises TimedOut when the server does not list everything in time.
    """
    synced = {resource: asyncio.Event() for resource in followed}

    def take(resource: resources.Resource, news: watch.Change) -> None:
        objects.take(resource, news)
        synced[resource].set()

    reflectors = [_reflect(config, objects, resource, take) for resource in followed]
    for each in reflectors:
        threading.Thread(target=each.run, daemon=True).start()
    try:
        await _all_set(synced)
        yield
    finally:
        for each in reflectors:
            each.stop()


def _reflect(
    config: client_config.ClientConfig,
    objects: cluster.RemoteCluster,
    resource: resources.Resource,
    take: Take,
) -> watch.Reflector:
    loop = asyncio.get_running_loop()

    def hand_over(news: watch.Change) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(take, resource, news)

    spoken = objects.dialect(resource).resource
    return watch.Reflector(config, spoken, on_change=hand_over)


async def _all_set(synced: Mapping[resources.Resource, asyncio.Event]) -> None:
    try:
        async with asyncio.timeout(SYNC_S):
            for event in synced.values():
                await event.wait()
    except TimeoutError as error:
        late = ", ".join(each.plural for each, event in synced.items() if not event.is_set())
        raise errors.TimedOut(
            f"the API server has not listed its {late} within {SYNC_S:g} s"
        ) from error
