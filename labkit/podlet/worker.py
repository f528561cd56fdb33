"""Brings the pods of this node to what the API server says they should be.

`sync` is all there is: look at one pod, ask `pods.plan` what to do, do it, ask again. It is called
whenever something has happened to a pod: the API server said so, a process ended, a probe changed
its mind, a moment has come. Where doing fails, it is tried again a little later.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import pathlib
import subprocess
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from labkit import errors
from labkit.client import watch
from labkit.model import resources
from labkit.model.resources import Object
from labkit.podlet import (
    containers,
    deeds,
    logs,
    loop,
    network,
    options,
    pods,
    prober,
    probes,
    records,
    remotecommand,
    reporter,
    runtime,
    state,
    trimming,
)

log = logging.getLogger(__name__)

#: After something has failed here (a program is missing, a disk is full), the next attempt.
RETRY_S = 5.0


class Worker:
    """Owns every pod of this node. All of it runs on the loop's thread."""

    def __init__(
        self,
        given: options.Options,
        on: loop.Loop,
        tell: reporter.Reporter,
        tell_followers: loop.Call,
    ) -> None:
        self._options = given
        self._loop = on
        self._reporter = tell
        self._tell_followers = tell_followers
        self._records = records.Records(given.state_dir)
        self._deeds = deeds.Deeds(given, on, self._records, tell, self._take_end)
        self._prober = prober.Prober(on, self._take_probe)
        self._trimmer = trimming.Trimmer()
        self._wanted: dict[str, Object] = {}
        self._absent: set[str] = set()
        self._failures: dict[str, str] = {}
        self._knows_pods = False
        self._knows_api_service = False

    def adopt(self) -> None:
        """Take over the pods of an earlier podlet. They are left alone until the API has spoken."""
        self._deeds.adopt()
        self._trim_logs()

    def take_api_service(self, env: Mapping[str, str]) -> None:
        """What containers are told of the API server. Until it is known none is started."""
        self._deeds.api_service = env
        self._knows_api_service = True
        self._sync_all()

    def _trim_logs(self) -> None:
        self._trimmer.trim(self._options.log_dir.glob("*/*/*.log"))
        self._loop.at("logs", self._loop.now() + trimming.EVERY_S, self._trim_logs)

    def take_pods(self, change: watch.Change) -> None:
        """Take in what the API server says about the pods bound to this node."""
        if isinstance(change, watch.Synced):
            self._take_all({obj["metadata"]["uid"]: obj for obj in change.objects})
        else:
            self._take_change(change.type, change.object)

    def find_log(self, query: logs.Query) -> logs.Source:
        """Where a container's output is. Raises ApiError."""
        wanted, pod = self._find(query.namespace, query.pod)
        return logs.plan_source(self._options, wanted, pod, query)

    def find_place(self, query: remotecommand.Query) -> remotecommand.Place:
        """Where a container runs, so that another program may join it. Raises ApiError."""
        wanted, pod = self._find(query.namespace, query.pod)
        run = remotecommand.find_run(pod, query)
        spec = containers.spec_of(wanted, query.container)
        env = self._deeds.environment(wanted, pod, spec)
        return remotecommand.Place(run, env, spec.get("workingDir") or "/")

    def find_network(self, namespace: str, name: str) -> pathlib.Path:
        """Where the programs of a pod listen. Raises ApiError."""
        _, pod = self._find(namespace, name)
        if pod.address is None:
            raise logs.refused(400, f'pod "{name}" has no network (yet, or any more)')
        return network.NETNS_FOLDER / pod.netns

    def _find(self, namespace: str, name: str) -> tuple[Object, state.Pod]:
        """What a pod should be, and what it is. Raises ApiError."""
        for uid, wanted in self._wanted.items():
            named = resources.name_of(wanted) == f"{namespace}/{name}"
            if named and uid not in self._absent:
                # A pod that waits for its namesake to go has no record yet.
                return wanted, self._records.get(uid) or pods.begin(wanted, self._loop.now())
        raise logs.refused(404, f'pod "{name}" not found')

    def _take_all(self, fresh: dict[str, Object]) -> None:
        known = {*self._wanted, *(pod.uid for pod in self._records)}
        self._absent = known - fresh.keys()
        self._wanted |= fresh
        self._knows_pods = True
        for obj in fresh.values():
            self._reporter.has_seen(obj)
        self._sync_all()

    def _take_change(self, kind: watch.EventType, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        if kind == "ADDED":
            self._reporter.has_seen(obj)
        elif kind == "MODIFIED":
            self._reporter.has_heard(obj)
        if kind == "DELETED":
            self._absent.add(uid)
        else:
            self._absent.discard(uid)
        self._allow_new_images(uid, obj)
        self._wanted[uid] = obj
        self.sync(uid)

    def _allow_new_images(self, uid: str, obj: Object) -> None:
        """A container that was refused may run at once with another image."""
        before, pod = self._wanted.get(uid), self._records.get(uid)
        if before is None or pod is None:
            return
        for container in pod.containers:
            old, new = (containers.spec_of(each, container.name) for each in (before, obj))
            if old["image"] != new["image"] and not container.is_running:
                changed = dataclasses.replace(container, retry_at=0.0, refusals=0)
                self._records.put(uid, changed)

    def _take_end(self, uid: str, name: str) -> None:
        """A container's process has ended."""
        pod = self._records[uid]
        run = pod.container(name).live_run
        code = runtime.take_exit_code(run, state.exit_file(self._options.state_dir, uid, run.id))
        log.info("%s: container %s ended with status %d", pod.netns, name, code)
        ended = pods.after_exit(pod.container(name), code, self._loop.now())
        self._prober.end(uid, name)
        self._records.put(uid, ended)
        self._tell_followers()
        wanted = self._wanted.get(uid)
        if wanted is not None and pods.is_backing_off(wanted, ended):
            about = f"Back-off restarting failed container {name} in pod {pod.netns}({uid})"
            self._reporter.say(wanted, "Warning", "BackOff", about, name)
        self.sync(uid)

    def _take_probe(
        self, uid: str, name: str, probe: probes.Probe, tally: probes.Tally, why: str
    ) -> None:
        container, wanted = self._records[uid].container(name), self._wanted[uid]
        if why and not probe.is_instant and tally.failures <= probe.failures_allowed:
            about = f"{probe.kind} probe failed: {why}"
            self._reporter.say(wanted, "Warning", "Unhealthy", about, name)
        if probe.kind == "Readiness" and container.ready != tally.good:
            self._records.put(uid, dataclasses.replace(container, ready=tally.good))
        if probe.kind == "Liveness" and not tally.good:
            about = f"Container {name} failed liveness probe, will be restarted"
            end = pods.Terminate(name, pods.grace_of(wanted), about)
            self._deeds.terminate(wanted, uid, end)
        self.sync(uid)

    def _sync_all(self) -> None:
        """Those that are gone first: they leave addresses and names to others."""
        known = {*self._wanted, *(pod.uid for pod in self._records)}
        for uid in sorted(known, key=lambda uid: uid not in self._absent):
            self.sync(uid)

    def sync(self, uid: str) -> None:
        """Do all that can be done for this pod now, and say when to look again."""
        if not (self._knows_pods and self._knows_api_service):
            return
        try:
            while actions := self._plan(uid):
                for action in actions:
                    self._act(uid, action)
            pod = self._records.get(uid)
            when = pods.next_time(pod, self._loop.now()) if pod else None
        except (errors.LabkitError, OSError, subprocess.SubprocessError) as error:
            self._report_failure(uid, error)
            when = self._loop.now() + RETRY_S
        else:
            self._failures.pop(uid, None)
        self._loop.at(("sync", uid), when, functools.partial(self.sync, uid))
        self._ensure_probes(uid)
        self._tell(uid)

    def _plan(self, uid: str) -> tuple[pods.Action, ...]:
        wanted, pod = self._wanted.get(uid), self._records.get(uid)
        is_absent = uid in self._absent
        actions = pods.plan(wanted, pod, self._loop.now(), is_absent=is_absent)
        if pods.Create() in actions and wanted is not None:
            newcomer = pod or pods.begin(wanted, self._loop.now())
            if self._records.has_namesake(newcomer):
                return ()  # its turn comes when the other is gone
        return actions

    def _act(self, uid: str, action: pods.Action) -> None:
        log.debug("%s: %s", uid, action)
        match action:
            case pods.Create():
                self._deeds.create(self._wanted[uid], self._reserved_addresses(uid))
            case pods.Start(name):
                self._deeds.start(self._wanted[uid], name)
            case pods.Refuse(name, refusal):
                self._deeds.refuse(self._wanted[uid], name, refusal)
            case pods.Terminate():
                self._deeds.terminate(self._wanted.get(uid), uid, action)
            case pods.Kill(name):
                self._deeds.kill(uid, name)
            case pods.Release():
                self._deeds.release(uid)
            case pods.Remove():
                self._deeds.remove(uid)
                self._wake_namesakes()

    def _reserved_addresses(self, uid: str) -> Iterator[IPv4Address]:
        """What pods of this node had before it lost its memory, and have not got again yet."""
        for other, obj in self._wanted.items():
            address = pods.address_in(obj)
            if address and other != uid and other not in self._records and self._is_to_run(other):
                yield address

    def _is_to_run(self, uid: str) -> bool:
        obj = self._wanted[uid]
        return not (uid in self._absent or pods.is_ending(obj) or pods.is_finished(obj))

    def _wake_namesakes(self) -> None:
        """A pod that was deleted is gone: one of the same name may be waiting for that."""
        for uid in self._wanted:
            if uid not in self._records and self._is_to_run(uid):
                self._loop.post(functools.partial(self.sync, uid))

    def _ensure_probes(self, uid: str) -> None:
        pod, wanted = self._records.get(uid), self._wanted.get(uid)
        if pod is None or wanted is None:
            return
        for container in pod.containers:
            run = container.run
            if run is None or run.is_over or container.kill_at:
                self._prober.end(uid, container.name)
            elif not self._prober.is_probing(uid, container.name, run.id):
                spec = containers.spec_of(wanted, container.name)
                env = self._deeds.environment(wanted, pod, spec)
                self._prober.begin(pod, container, probes.parse_probes(spec), env)

    def _tell(self, uid: str) -> None:
        pod, wanted = self._records.get(uid), self._wanted.get(uid)
        if pod is None and (uid in self._absent or wanted is None):
            self._wanted.pop(uid, None)
            self._absent.discard(uid)
            self._reporter.forget(uid)
        elif pod is None and wanted is not None and pods.is_ending(wanted):
            self._reporter.remove(wanted)
        elif pod is not None and wanted is not None and uid not in self._absent:
            self._reporter.publish(wanted, pod, self._loop.now())

    def _report_failure(self, uid: str, error: Exception) -> None:
        """Say it once: the same failure will come again with every try."""
        if self._failures.get(uid) == str(error):
            return
        self._failures[uid] = str(error)
        log.warning("pod %s: %s; trying again", uid, error)
        wanted = self._wanted.get(uid)
        if wanted is not None and uid not in self._absent:
            self._reporter.say(wanted, "Warning", "FailedCreatePodSandBox", str(error))
