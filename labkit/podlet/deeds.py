"""Does what `pods.plan` says: one method for each action, each of which leaves a record."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address

from labkit.model.resources import Object
from labkit.podlet import (
    containers,
    images,
    logs,
    loop,
    network,
    options,
    pods,
    records,
    reporter,
    runtime,
    state,
)

#: Told when a container's process has ended: the pod's uid, the container's name.
OnEnd = Callable[[str, str], None]


class Deeds:
    def __init__(
        self,
        given: options.Options,
        on: loop.Loop,
        known: records.Records,
        tell: reporter.Reporter,
        on_end: OnEnd,
    ) -> None:
        self._options = given
        self._loop = on
        self._records = known
        self._reporter = tell
        self._on_end = on_end
        self._last_address: IPv4Address | None = None
        #: Told to every container that is started: KUBERNETES_SERVICE_HOST and _PORT.
        self.api_service: Mapping[str, str] = {}

    def create(self, wanted: Object, reserved: Iterable[IPv4Address]) -> None:
        """Give the pod its address (the one it had, if it is free), namespace and wire."""
        pod = self._records.get(wanted["metadata"]["uid"]) or pods.begin(wanted, self._loop.now())
        wish = pod.last_address or pods.address_in(wanted)
        taken = self._records.addresses(but=pod.uid) | set(reserved)
        address = network.allocate(
            self._options.pod_network, taken, wish=wish, after=self._last_address
        )
        if address != wish:
            self._last_address = address
        network.add_pod(pod.netns, pod.veth, address, self._options.pod_network)
        self._records.keep(dataclasses.replace(pod, address=address, last_address=address))

    def start(self, wanted: Object, name: str) -> None:
        pod = self._records[wanted["metadata"]["uid"]]
        spec = containers.spec_of(wanted, name)
        before = pod.container(name)
        begun = containers.begin_run(before, spec["image"], self._loop.now())
        env = self.environment(wanted, pod, spec)
        how = containers.plan_launch(pod, begun, spec, env, self._options)
        # The run before can still be asked for (`kubectl logs --previous`); no other can.
        logs.file_of(self._options, pod, begun, back=2).unlink(missing_ok=True)
        self._records.put(pod.uid, begun)
        try:
            started = containers.launch(begun, how, spec)
        except OSError:
            self._records.put(pod.uid, before)  # nothing runs: it can be tried again
            raise
        self._records.put(pod.uid, started)
        self.await_end(pod.uid, started)
        for reason, message in (
            ("Pulled", f'Container image "{spec["image"]}" is built in'),
            ("Created", f"Created container: {name}"),
            ("Started", f"Started container {name}"),
        ):
            self._reporter.say(wanted, "Normal", reason, message, name)

    def environment(self, wanted: Object, pod: state.Pod, spec: Object) -> dict[str, str]:
        return containers.environment(wanted, pod, spec, self._options, self.api_service)

    def refuse(self, wanted: Object, name: str, refusal: images.Refusal) -> None:
        uid = wanted["metadata"]["uid"]
        container = self._records[uid].container(name)
        changed = pods.after_refusal(container, refusal, self._loop.now())
        self._records.put(uid, changed)
        if container.reason != changed.reason:
            for message in (refusal.message, f"Error: {changed.reason}"):
                self._reporter.say(wanted, "Warning", "Failed", message, name)

    def terminate(self, wanted: Object | None, uid: str, action: pods.Terminate) -> None:
        container = self._records[uid].container(action.container)
        if not container.kill_at and wanted is not None:
            self._reporter.say(wanted, "Normal", "Killing", action.why, container.name)
        kill_at = self._loop.now() + action.grace_s
        self._records.put(uid, dataclasses.replace(container, kill_at=kill_at))
        runtime.terminate(container.live_run)

    def kill(self, uid: str, name: str) -> None:
        container = self._records[uid].container(name)
        self._records.put(uid, dataclasses.replace(container, killed=True))
        runtime.kill(container.live_run)

    def release(self, uid: str) -> None:
        pod = self._records[uid]
        network.remove_pod(pod.netns, pod.veth)
        self._records.keep(dataclasses.replace(pod, address=None, last_address=None))

    def remove(self, uid: str) -> None:
        pod = self._records[uid]
        network.remove_pod(pod.netns, pod.veth)
        logs.forget(logs.folder_of(self._options, pod))
        self._records.drop(uid)

    def adopt(self) -> None:
        """Find again what an earlier podlet has started; remove what nobody remembers."""
        self._records.load()
        for pod in self._records:
            self._adopt(pod)
        remembered = {pod.netns for pod in self._records}
        for veth, netns in network.marked_pods().items():
            if netns not in remembered:
                runtime.kill_all(netns)
                network.remove_pod(netns, veth)

    def _adopt(self, pod: state.Pod) -> None:
        logs.adopt(self._options, pod)
        if pod.address is not None and not network.is_wired(pod.netns, pod.veth):
            pod = dataclasses.replace(pod, address=None)  # the node itself was started anew
            self._records.keep(pod)
        for container in pod.containers:
            if container.is_running:
                run = containers.find(pod, container.live_run, self._options)
                self._records.put(pod.uid, dataclasses.replace(container, run=run))
                if pod.address is None:
                    runtime.kill(run)
                self.await_end(pod.uid, self._records[pod.uid].container(container.name))

    def await_end(self, uid: str, container: state.Container) -> None:
        """Be told when the process ends, be it our child or one of an earlier podlet."""
        tell = functools.partial(self._on_end, uid, container.name)
        try:
            fd = os.pidfd_open(container.live_run.pid)
        except OSError:
            self._loop.post(tell)
            return
        if state.ticks_of(container.live_run.pid) != container.live_run.ticks:
            os.close(fd)  # the pid is somebody else's by now
            self._loop.post(tell)
            return
        self._loop.when_readable(fd, functools.partial(self._end, fd, tell))

    def _end(self, fd: int, tell: Callable[[], None]) -> None:
        self._loop.forget(fd)
        os.close(fd)
        tell()
