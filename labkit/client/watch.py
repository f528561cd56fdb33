"""Being told instead of asking: a list once, then a stream of every change after it.

    GET /api/v1/services                              -> a List with metadata.resourceVersion "41"
    GET /api/v1/services?watch=1&resourceVersion=41   -> {"type": "ADDED", "object": {...}}
                                                         {"type": "DELETED", "object": {...}}

The resourceVersion joins the two without a gap. A server remembers only so much: when it answers
410 Gone, one lists again. A stream also ends when the server's time for it is over, when the server
dies, or when the network swallows it; then one takes it up again after the last version seen.
The Reflector does all of that, so that its user sees only `Synced` and changes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from labkit import errors
from labkit.client import config as client_config
from labkit.client import http, wire
from labkit.model.resources import Object, Resource

log = logging.getLogger(__name__)

#: How long a server is asked to keep a watch open; kube's own clients ask for 5 to 10 minutes.
WATCH_S = 300.0
#: How much later than that the end may come before the server counts as dead.
LATENESS_S = 15.0
#: The waits after the first, second, ... failure in a row, until the last, which stays.
#: Dense at first, because a lab starts everything at once and a refused connection costs little.
BACK_OFF_S = (0.05,) * 4 + (0.1,) * 6 + (0.2, 0.4, 0.8, 1.6, 2.0)
#: A watch that lasted so long has worked, even if nothing happened meanwhile.
HEALTHY_S = 1.0

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. A BOOKMARK changes nothing: its object has only a newer resourceVersion."""

    type: EventType
    object: Object


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything there is, now: forget what you knew. `version` is the List's resourceVersion."""

    objects: tuple[Object, ...]
    version: str = ""


Change = Synced | WatchEvent


def watch(
    config: client_config.ClientConfig,
    resource: Resource,
    *,
    namespace: str = "",
    resource_version: str = "",
    label_selector: str = "",
    field_selector: str = "",
    timeout_s: float = WATCH_S,
    dial: wire.Dial = wire.dial_tcp,
) -> Iterator[WatchEvent]:
    """Changes after `resource_version`, on a connection of its own, until the server ends it.

    Raises Gone when the version is too old, ConnectionFailed when the stream is cut off: it never
    ends silently.
    """
    with wire.translated(config):
        connection = wire.connect(config, dial)
    try:
        path = resource.path(namespace)
        query = http.selectors(label_selector, field_selector)
        yield from _watch_on(connection, config, path, query, resource_version, timeout_s, _ask)
    finally:
        connection.close()


class Reflector:
    """Lists and watches one kind of object for as long as `run` runs, through every trouble.

    `on_change` is called on the thread that runs `run`: first with Synced, then with each change;
    after a gap with Synced again. `on_answer` gets, there too, each status, and 0 for
    a request without an answer. `stop` may be called from any thread and takes effect at once.
    """

    def __init__(
        self,
        config: client_config.ClientConfig,
        resource: Resource,
        *,
        label_selector: str = "",
        field_selector: str = "",
        dial: wire.Dial = wire.dial_tcp,
        on_change: Callable[[Change], None],
        on_answer: Callable[[int], None] = lambda _status: None,
    ) -> None:
        self._config = config
        self._resource = resource
        self._query = http.selectors(label_selector, field_selector)
        self._dial = dial
        self._on_change = on_change
        self._on_answer = on_answer
        self._version = ""
        self._failures = 0
        self._stopping = threading.Event()
        self._connection: wire.Connection | None = None

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._converse()
            except errors.Gone:
                self._version = ""
                self._back_off("the server has forgotten where we were")
            except errors.LabkitError as error:
                self._back_off(str(error))

    def stop(self) -> None:
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.hang_up()

    def _converse(self) -> None:
        """One connection's life: list if need be, then one watch after the other."""
        with wire.translated(self._config), self._unanswered():
            connection = self._connection = wire.connect(self._config, self._dial)
        try:
            while not self._stopping.is_set():
                self._list_and_watch(connection)
        finally:
            self._connection = None
            connection.close()

    def _list_and_watch(self, connection: wire.Connection) -> None:
        if not self._version:
            self._list(connection)
        begun = time.monotonic()
        for event in _watch_on(
            connection,
            self._config,
            self._resource.path(),
            self._query,
            self._version,
            WATCH_S,
            self._ask,
        ):
            self._failures = 0
            self._take(event)
        if time.monotonic() - begun < HEALTHY_S:
            raise errors.ConnectionFailed("the API server ended the watch at once")
        self._failures = 0

    def _list(self, connection: wire.Connection) -> None:
        path = http.with_query(self._resource.path(), self._query)
        with wire.translated(self._config):
            connection.wait_at_most(LATENESS_S)
            response = self._ask(connection, path)
            answer = response.read()
        listed = http.decode(response, answer)
        version = _version_of(listed)
        self._on_change(Synced(tuple(listed.get("items") or ()), version))
        self._version = version

    def _ask(self, connection: wire.Connection, path: str) -> wire.Response:
        with self._unanswered():
            response = _ask(connection, path)
        self._on_answer(response.status)
        return response

    @contextlib.contextmanager
    def _unanswered(self) -> Iterator[None]:
        """What goes wrong in here is a request that had no answer."""
        try:
            yield
        except OSError:
            self._on_answer(0)
            raise

    def _take(self, event: WatchEvent) -> None:
        if event.type != "BOOKMARK":
            self._on_change(event)
        self._version = _version_of(event.object)

    def _back_off(self, why: str) -> None:
        if self._stopping.is_set():
            return
        say = log.debug if self._failures else log.warning
        say("watching %s: %s; trying again", self._resource.plural, why)
        delay_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        # Spread, so that many watchers do not come back in the same instant.
        self._stopping.wait(delay_s * random.uniform(0.75, 1.25))  # noqa: S311


def _watch_on(
    connection: wire.Connection,
    config: client_config.ClientConfig,
    path: str,
    query: dict[str, str],
    resource_version: str,
    timeout_s: float,
    ask: Callable[[wire.Connection, str], wire.Response],
) -> Iterator[WatchEvent]:
    asked = query | {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": resource_version,
        "timeoutSeconds": str(max(1, round(timeout_s))),
    }
    with wire.translated(config):
        connection.wait_at_most(timeout_s + LATENESS_S)
        response = ask(connection, http.with_query(path, asked))
        if response.status >= 400:
            http.decode(response, response.read())
        lines = response.lines()
    while True:
        with wire.translated(config):
            line = next(lines, None)
        if line is None:
            return
        if line:
            yield _parse_event(line)


def _ask(connection: wire.Connection, path: str) -> wire.Response:
    return connection.send("GET", path)


def _parse_event(line: bytes) -> WatchEvent:
    try:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise errors.ConnectionFailed(f"the watch brought what is no event: {line!r}") from error
    if kind == "ERROR":
        raise errors.api_error(int(obj.get("code") or 500), obj)
    return WatchEvent(kind, obj)


def _version_of(obj: Object) -> str:
    version: str = obj.get("metadata", {}).get("resourceVersion", "")
    if not version:
        raise errors.ConnectionFailed("the API server sent something without a resourceVersion")
    return version
