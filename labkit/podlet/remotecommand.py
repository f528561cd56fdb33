"""What `kubectl exec` asks a kubelet: which program is to run in which container, joined to whom.

    GET /exec/default/app1-1/echo?command=sh&input=1&output=1&tty=1        Upgrade: websocket

How it is run is in `sessions`, which is imported when somebody asks: it is memory on every node.
"""

from __future__ import annotations

import pathlib
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labkit.podlet import logs, state


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked."""

    namespace: str
    pod: str
    container: str
    command: tuple[str, ...]
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is to run: the container's process, its environment and its folder."""

    run: state.Run
    env: Mapping[str, str]
    folder: str


#: Finds the container that is meant, on the loop's thread. Raises ApiError.
Find = Callable[[Query], Place]


#: Finds a pod's network by namespace and name, on the loop's thread. Raises ApiError.
FindNetwork = Callable[[str, str], pathlib.Path]


def parse_pod(target: str) -> tuple[str, str]:
    """Read `/portForward/NAMESPACE/POD`. Raises ApiError."""
    words = [urllib.parse.unquote(word) for word in target.partition("?")[0].split("/")]
    if len(words) != 4:
        raise logs.refused(404, "404 page not found")
    return words[2], words[3]


def parse_query(target: str) -> Query:
    """Read `/exec/NAMESPACE/POD/CONTAINER?command=ls&output=1`. Raises ApiError."""
    parts = urllib.parse.urlsplit(target)
    words = [urllib.parse.unquote(word) for word in parts.path.split("/")]
    given = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    if len(words) != 5:
        raise logs.refused(404, "404 page not found")
    command = tuple(given.get("command", ()))
    if not command:
        raise logs.refused(400, "you must specify at least 1 command")
    wanted = [given.get(name) == ["1"] for name in ("input", "output", "error", "tty")]
    if not any(wanted[:3]):
        raise logs.refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    return Query(words[2], words[3], words[4], command, *wanted)


def find_run(pod: state.Pod, query: Query) -> state.Run:
    """The run that can be joined. Raises ApiError where nothing runs."""
    for container in pod.containers:
        if container.name == query.container and container.is_running:
            return container.live_run
    raise logs.refused(400, f'container not found ("{query.container}")')
