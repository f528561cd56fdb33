"""Runs the probes of all containers: the quick ones at once, the others on a thread each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from labkit.podlet import loop, probes, state

#: Which probe: the pod's uid, the container, and what it asks.
Key = tuple[str, str, probes.Kind]


@dataclass(slots=True)
class Subject:
    """One probe at work on one run of a container."""

    probe: probes.Probe
    tally: probes.Tally
    run: state.Run
    address: str
    env: Mapping[str, str]


#: Told of every result: the pod's uid, the container, the probe, what it amounts to, why it failed.
Listener = Callable[[str, str, probes.Probe, probes.Tally, str], None]


class Prober:
    """Knows for each container which of its runs is probed. Runs on the loop's thread."""

    def __init__(self, on: loop.Loop, listener: Listener) -> None:
        self._loop = on
        self._listener = listener
        self._subjects: dict[Key, Subject] = {}
        self._runs: dict[tuple[str, str], str] = {}

    def begin(
        self,
        pod: state.Pod,
        container: state.Container,
        asked: Iterable[probes.Probe],
        env: Mapping[str, str],
    ) -> None:
        """Probe the current run of the container, and no earlier one."""
        self.end(pod.uid, container.name)
        run = container.live_run
        self._runs[pod.uid, container.name] = run.id
        for probe in asked:
            key = (pod.uid, container.name, probe.kind)
            tally = probes.begin(probe, run.started, ready=container.ready)
            self._subjects[key] = Subject(probe, tally, run, str(pod.address), env)
            self._schedule(key)

    def end(self, uid: str, container: str) -> None:
        self._runs.pop((uid, container), None)
        for key in [key for key in self._subjects if key[:2] == (uid, container)]:
            del self._subjects[key]
            self._loop.at(key, None, _nothing)

    def is_probing(self, uid: str, container: str, run_id: str) -> bool:
        return self._runs.get((uid, container)) == run_id

    def _schedule(self, key: Key) -> None:
        self._loop.at(key, self._subjects[key].tally.due, lambda: self._ask(key))

    def _ask(self, key: Key) -> None:
        subject = self._subjects[key]
        if subject.probe.is_instant:
            self._take(key, subject, self._attempt(subject))
            return

        def ask() -> None:
            why = self._attempt(subject)
            self._loop.post(lambda: self._take(key, subject, why))

        threading.Thread(target=ask, name="probe", daemon=True).start()

    def _attempt(self, subject: Subject) -> str:
        return probes.attempt(subject.probe, subject.address, subject.run, subject.env)

    def _take(self, key: Key, subject: Subject, why: str) -> None:
        """Count a result, unless it comes too late: then another run is probed, or none."""
        if self._subjects.get(key) is not subject:
            return
        now = self._loop.now()
        subject.tally = probes.count(subject.probe, subject.tally, success=not why, now=now)
        self._schedule(key)
        uid, container, _ = key
        self._listener(uid, container, subject.probe, subject.tally, why)


def _nothing() -> None:
    """What a removed timer would have called."""
