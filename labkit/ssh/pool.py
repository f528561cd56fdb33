"""A connection to each node, and the same work on many nodes side by side.

Most of a handshake is arithmetic in sshd and in us, so more threads than two per core gain nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent import futures
from typing import TypeVar

from labkit import errors
from labkit.model import commands
from labkit.ssh.connection import Connection
from labkit.ssh.endpoint import Endpoint
from labkit.ssh.here import Here

_Result = TypeVar("_Result")

_SIDE_BY_SIDE = 2 * (os.cpu_count() or 1)


class SeveralFailed(errors.LabkitError):
    """The same work failed on more than one node; `errors` has each node's own reason."""

    id = "LK-SEVERAL"

    def __init__(self, failed: Mapping[str, errors.LabkitError]) -> None:
        reasons = "\n".join(f"  {name}: {error.message}" for name, error in failed.items())
        hints = dict.fromkeys(error.hint for error in failed.values() if error.hint)
        super().__init__(f"{len(failed)} nodes failed:\n{reasons}", hint="; ".join(hints))
        self.errors = dict(failed)


class Pool:
    """Connections by node name, each opened when first used."""

    def __init__(
        self,
        endpoints: Callable[[str], Endpoint],
        log: commands.CommandLog | None = None,
        *,
        here: Collection[str] = (),
    ) -> None:
        self._endpoints = endpoints
        self._here = frozenset(here)
        self._log = commands.CommandLog() if log is None else log  # an empty one is false
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connection(self, name: str) -> Connection:
        """The connection to node `name`. Raises what the provider raises for an unknown name."""
        with self._lock:
            if name not in self._connections:
                self._connections[name] = self._open(name)
            return self._connections[name]

    def _open(self, name: str) -> Connection:
        if name in self._here:
            return Here(name, self._log)
        return Connection(self._endpoints(name), self._log)

    def map(
        self, names: Iterable[str], func: Callable[[Connection], _Result]
    ) -> dict[str, _Result]:
        """Call `func` with each node's connection; the results by name, in the order of `names`.

        Every node is tried. If one failed, its error is raised; if several did, SeveralFailed. An
        interrupt closes the connections, so that no command is waited for.
        """
        names = list(names)
        with futures.ThreadPoolExecutor(min(len(names), _SIDE_BY_SIDE) or 1) as threads:
            begun = {name: threads.submit(self._call, func, name) for name in names}
            try:
                futures.wait(begun.values())
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise
        failed = {name: error for name, future in begun.items() if (error := _error(future))}
        if len(failed) == 1:
            raise next(iter(failed.values()))
        if failed:
            raise SeveralFailed(failed)
        return {name: future.result() for name, future in begun.items()}

    def _call(self, func: Callable[[Connection], _Result], name: str) -> _Result:
        return func(self.connection(name))

    def close(self, *names: str) -> None:
        """Close the connections to these nodes (none named: all)."""
        with self._lock:
            known = [name for name in names or self._connections if name in self._connections]
            connections = [self._connections.pop(name) for name in known]
        for each in connections:
            each.close()


def _error(future: futures.Future[_Result]) -> errors.LabkitError | None:
    error = future.exception()
    if error is not None and not isinstance(error, errors.LabkitError):
        raise error
    return error
