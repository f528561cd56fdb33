"""Which part of which file answers `kubectl logs`. Nothing here waits, and nothing is kept.

    /var/log/pods/default_app1-1_UID/echo/0.log     what the container's first run has written
                                          1.log     its second run, after a restart

A container writes straight into its file: no process stands between to put a time before each line.
So `since` can be answered where the run's start and the file's last change are answer enough.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import urllib.parse
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from labkit import errors
from labkit.model.resources import Object
from labkit.podlet import options, pods, state, status

_BLOCK = 64 * 1024
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. `since` is seconds since 1970; None stands for no limit."""

    namespace: str
    pod: str
    container: str
    follow: bool = False
    previous: bool = False
    tail: int | None = None
    limit: int | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A run of a container, and the file that holds what it has written."""

    file: pathlib.Path
    run: state.Run


def refused(code: int, message: str) -> errors.ApiError:
    return errors.api_error(code, {"message": message})


def parse_query(target: str, now: float) -> Query:
    """Read `/containerLogs/NAMESPACE/POD/CONTAINER?follow=true`. Raises ApiError."""
    parts = urllib.parse.urlsplit(target)
    words = [urllib.parse.unquote(word) for word in parts.path.split("/")]
    if len(words) != 5 or words[1] != "containerLogs":
        raise refused(404, "404 page not found")
    given = dict(urllib.parse.parse_qsl(parts.query))
    if _is_true(given, "timestamps"):
        raise refused(400, "labkit's logs have no timestamps: a container writes into its log file")
    _, _, namespace, pod, container = words
    try:
        return Query(
            namespace,
            pod,
            container,
            follow=_is_true(given, "follow"),
            previous=_is_true(given, "previous"),
            tail=_number(given, "tailLines"),
            limit=_number(given, "limitBytes"),
            since=_since(given, now),
        )
    except ValueError as error:
        raise refused(400, f"the request's parameters cannot be read: {error}") from error


def _is_true(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "false").lower() not in ("false", "0", "f")


def _number(given: Mapping[str, str], name: str) -> int | None:
    return int(given[name]) if name in given else None


def _since(given: Mapping[str, str], now: float) -> float | None:
    if "sinceTime" in given:
        import datetime  # seldom needed, and memory in every podlet

        return datetime.datetime.fromisoformat(given["sinceTime"]).timestamp()
    seconds = _number(given, "sinceSeconds")
    return None if seconds is None else now - seconds


# --- which run -----------------------------------------------------------------------------------


def folder_of(given: options.Options, pod: state.Pod) -> pathlib.Path:
    """Everything that the pod's containers have written. Named as kubelet names it."""
    return given.log_dir / f"{pod.netns}_{pod.uid}"


def file_of(
    given: options.Options, pod: state.Pod, container: state.Container, *, back: int = 0
) -> pathlib.Path:
    """The log of the container's run, or of that so many runs before."""
    return folder_of(given, pod) / container.name / f"{container.restarts - back}.log"


def forget(folder: pathlib.Path) -> None:
    """Remove a pod's folder with all its logs; shutil's rmtree costs half a megabyte."""
    for path in (*folder.glob("*/*.log"), *folder.glob("*"), folder):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def adopt(given: options.Options, pod: state.Pod) -> None:
    """Give the one log file that a pod had with an earlier podlet its new name."""
    old = given.log_dir / f"{pod.netns}.log"
    if old.exists():
        new = file_of(given, pod, pod.containers[0])
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)


def plan_source(given: options.Options, wanted: Object, pod: state.Pod, query: Query) -> Source:
    """Choose the run whose log is meant. Raises ApiError, in kubelet's words."""
    found = [each for each in pod.containers if each.name == query.container]
    if not found:
        raise refused(404, f'container "{query.container}" not found in pod "{pod.name}"')
    container = found[0]
    run, last = container.run, container.last
    if run is None or (run.is_over and not pods.is_over(container, pods.restart_policy(wanted))):
        run, last = None, run or last  # it waits: what ran is the previous one already
    chosen = last if query.previous else run or last
    if chosen is None:
        raise refused(400, _explain_absence(container, pod, query))
    back = 0 if chosen == container.run else 1
    return Source(file_of(given, pod, container, back=back), chosen)


def _explain_absence(container: state.Container, pod: state.Pod, query: Query) -> str:
    named = f'container "{container.name}" in pod "{pod.name}"'
    if query.previous:
        return f"previous terminated {named} not found"
    return f"{named} is waiting to start: {_WAITING.get(container.reason, container.reason)}"


# --- which part ----------------------------------------------------------------------------------


def find_start(file: BinaryIO, query: Query, run: state.Run) -> int:
    """Where in the file the answer begins. Raises ApiError where nobody can know."""
    found = os.fstat(file.fileno())
    begin = 0 if query.since is None else plan_since(query.since, run, found.st_mtime)
    if begin < 0 or query.tail == 0:
        return found.st_size
    kept = find_kept(file, 0)
    return kept if query.tail is None else find_tail(file, query.tail, kept)


def plan_since(since: float, run: state.Run, written: float) -> int:
    """0: all of it is younger than `since`; -1: nothing is. Raises ApiError in between."""
    if since <= run.started:
        return 0
    if since > written:
        return -1
    times = [status.render_time(each) for each in (run.started, written)]
    raise refused(
        400,
        f"labkit's logs have no timestamps: what was written since {status.render_time(since)} "
        f"cannot be told from the rest (the container began at {times[0]}, wrote last at "
        f"{times[1]}); --tail=N shows the last lines",
    )


def find_kept(file: BinaryIO, at: int) -> int:
    """`at`, or the first whole line after what `trimming` has given up there."""
    try:
        begin = file.seek(at, os.SEEK_DATA)
    except OSError:
        return at  # it is the end of the file
    if begin > at:
        file.readline(_BLOCK)  # the rest of a line whose beginning is gone
    return file.tell()


def find_tail(file: BinaryIO, lines: int, first: int = 0) -> int:
    """Where the last so many lines begin, from `first` on. One without its end is a line."""
    end = position = file.seek(0, os.SEEK_END)
    while position > first:
        begin = max(first, position - _BLOCK)
        file.seek(begin)
        block = file.read(position - begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if begin + at + 1 < end:  # the end of the last line begins no other
                lines -= 1
            if lines == 0:
                return begin + at + 1
        position = begin
    return first


def read_on(file: BinaryIO) -> Generator[bytes]:
    """What there is from here to the end of the file as it is now."""
    end = os.fstat(file.fileno()).st_size
    while (at := file.tell()) < end and (piece := file.read(min(end - at, _BLOCK))):
        if piece.startswith(b"\0") and (kept := find_kept(file, at)) > at:
            file.seek(kept)  # the reader was so slow that this is gone
            continue
        file.seek(at + len(piece))
        yield piece


def cut(pieces: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    """No more than so many bytes."""
    for piece in pieces:
        if limit is None:
            yield piece
            continue
        yield piece[:limit]
        limit -= len(piece)
        if limit <= 0:
            return
