"""Runs the controllers beside the server, in its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Protocol

from labkit import errors
from labkit.apiserver import bootstrap, registry
from labkit.apiserver.controllers import (
    api_service,
    deployments,
    endpoints,
    endpointslices,
    eviction,
    expiry,
    garbage,
    load_balancers,
    namespaces,
    nodes,
    orphans,
    replicasets,
    root_ca,
    scheduler,
    serviceaccounts,
)
from labkit.model.pool import Pool

logger = logging.getLogger(__name__)

#: A controller that fails goes on after this long; the failure is in the log.
PAUSE_S = 1.0


class Controller(Protocol):
    async def run(self) -> None:
        """Work for ever."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What controllers can be told."""

    #: After so long a silence a node is lost.
    node_grace_s: float = nodes.GRACE_S
    #: The certificate of the authority that every namespace gets, PEM; none without it.
    root_ca: str = ""
    #: The addresses of load balancers; without it that is somebody else's business.
    pool: Pool | None = None


@contextlib.asynccontextmanager
async def running(
    objects: registry.Registry, api: bootstrap.ApiAddress, settings: Settings | None = None
) -> AsyncIterator[None]:
    """All controllers run within this block."""
    given = settings or Settings()
    controllers: list[Controller] = [
        api_service.Controller(objects.as_manager(bootstrap.MANAGER), api),
        endpoints.Controller(objects),
        endpointslices.Controller(objects),
        scheduler.Controller(objects.as_manager(scheduler.MANAGER)),
        nodes.Controller(objects, given.node_grace_s),
        eviction.Controller(objects),
        orphans.Controller(objects),
        namespaces.Controller(objects),
        serviceaccounts.Controller(objects),
        expiry.Controller(objects),
        deployments.Controller(objects),
        replicasets.Controller(objects),
        garbage.Controller(objects),
    ]
    if given.root_ca:
        controllers.append(root_ca.Controller(objects, given.root_ca))
    if given.pool:
        controllers.append(load_balancers.Controller(objects, given.pool))
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
    name, said = type(controller).__module__, ""
    while True:
        try:
            await controller.run()
        except errors.ConnectionFailed as error:
            # Of an API server elsewhere, which may be away for long: that is said once.
            if str(error) != said:
                logger.warning("%s waits: %s", name, error)
            said = str(error)
        except Exception:
            logger.exception("%s failed", name)
        await asyncio.sleep(PAUSE_S)
