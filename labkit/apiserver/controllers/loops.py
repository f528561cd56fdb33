"""Runs the controllers beside the server, in its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from labkit.apiserver import bootstrap, registry
from labkit.apiserver.controllers import (
    api_service,
    deployments,
    endpoints,
    endpointslices,
    eviction,
    expiry,
    garbage,
    namespaces,
    nodes,
    orphans,
    replicasets,
    scheduler,
    serviceaccounts,
)

logger = logging.getLogger(__name__)

#: A controller that fails goes on after this long; the failure is in the log.
PAUSE_S = 1.0


class Controller(Protocol):
    async def run(self) -> None:
        """Work for ever."""


@contextlib.asynccontextmanager
async def running(objects: registry.Registry, api: bootstrap.ApiAddress) -> AsyncIterator[None]:
    """All controllers run within this block."""
    controllers: tuple[Controller, ...] = (
        api_service.Controller(objects, api),
        endpoints.Controller(objects),
        endpointslices.Controller(objects),
        scheduler.Controller(objects),
        nodes.Controller(objects),
        eviction.Controller(objects),
        orphans.Controller(objects),
        namespaces.Controller(objects),
        serviceaccounts.Controller(objects),
        expiry.Controller(objects),
        deployments.Controller(objects),
        replicasets.Controller(objects),
        garbage.Controller(objects),
    )
    async with kept_running(controllers):
        yield


@contextlib.asynccontextmanager
async def kept_running(controllers: Iterable[Controller]) -> AsyncIterator[None]:
    """Within this block each controller runs, and runs again where it failed."""
    tasks = [asyncio.ensure_future(_keep_running(controller)) for controller in controllers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(controller: Controller) -> None:
    while True:
        try:
            await controller.run()
        except Exception:
            logger.exception("%s failed", type(controller).__module__)
            await asyncio.sleep(PAUSE_S)
