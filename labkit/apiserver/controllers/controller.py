"""What a controller is, and all that it needs of a cluster.

A controller brings the world to what an object asks for. It sees the cluster through the two
protocols below and through nothing else, so it does not know whether the objects are in a store
beside it or behind somebody else's API server.

    Objects   a picture of what there is: read it, and be told of each change
    Cluster   the picture, a clock, and the three writes

What a write returns is in the picture from then on: a controller never sees a state from before
its own last write, and so never makes a second pod for want of the first.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Protocol

from labkit.apiserver import registry, watching
from labkit.apiserver.controllers import keys
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources

#: Told of each change, right after it. It may neither fail nor write.
Observer = Callable[[watching.Change], None]


class Objects(Protocol):
    """What there is. None of it is to be changed."""

    def get(
        self, resource: resources.Resource, namespace: str, name: str, /
    ) -> watching.Stored | None:
        """The object; None where there is none."""

    def list(
        self, resource: resources.Resource, namespace: str = "", /
    ) -> Iterator[watching.Stored]:
        """All objects of one kind, or those of one namespace, by namespace and name."""

    def observe(self, resource: resources.Resource, observer: Observer, /) -> None:
        """Call `observer` after each change of one kind, from now on."""


class Cluster(Protocol):
    """What there is, and the ways to change it. Every write may raise ApiError."""

    @property
    def store(self) -> Objects: ...

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds since 1970."""

    def create(
        self, kind: kind_module.Kind, namespace: str, obj: resources.Object, /
    ) -> watching.Stored:
        """Create `obj`, which belongs to the cluster from now on. Raises Conflict, NotFound."""

    def update(
        self,
        kind: kind_module.Kind,
        namespace: str,
        name: str,
        modify: registry.Modify,
        /,
        *,
        subresource: str = "",
    ) -> watching.Stored:
        """Replace an object by what `modify` makes of it. Raises NotFound."""

    def delete(
        self, kind: kind_module.Kind, namespace: str, name: str, options: registry.DeleteOptions, /
    ) -> registry.Deleted:
        """Raises NotFound, and Conflict where it is not the object that was meant."""


class Controller(abc.ABC):
    """Notes whom a change concerns, and looks at each of them in turn: see `keys`."""

    def __init__(self, objects: Cluster, waiting: keys.Keys | None = None) -> None:
        self._objects = objects
        self._store = objects.store
        self._keys = keys.Keys() if waiting is None else waiting

    def _follow(self, resource: resources.Resource) -> None:
        """Look at every object of a kind now, and at each that is created or changed."""
        self._store.observe(resource, self._on_own)
        self._keys.update((stored.namespace, stored.name) for stored in self._store.list(resource))

    def _on_own(self, change: watching.Change) -> None:
        if change.type != "DELETED":
            self._keys.add((change.after.namespace, change.after.name))

    async def run(self) -> None:
        await self._keys.serve(self._sync)

    @abc.abstractmethod
    def _sync(self, namespace: str, name: str) -> None:
        """Bring what belongs to the object of that name to what it asks for."""
