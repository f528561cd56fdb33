"""Starting a container: from what the pod asks for to a process that runs, or is found running."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass

from labkit.model.resources import Object
from labkit.podlet import images, logs, options, probes, runtime, state

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Launch:
    """All that it takes to start a container's process."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    log_file: pathlib.Path


def spec_of(wanted: Object, name: str) -> Object:
    return next(spec for spec in wanted["spec"]["containers"] if spec["name"] == name)


def begin_run(container: state.Container, image: str, now: float) -> state.Container:
    """The container with a new run that has no process yet.

    It is saved like this, and again with the pid. A podlet that dies between the two leaves a run
    without a pid, and its successor looks for the process by the name of its exit file.
    """
    run = state.Run(os.urandom(32).hex(), image, pid=0, ticks=0, started=now)
    return dataclasses.replace(
        container,
        run=run,
        last=container.run or container.last,
        restarts=container.restarts + (container.run is not None),
        ready=False,
    )


def plan_launch(
    pod: state.Pod,
    container: state.Container,
    spec: Object,
    env: Mapping[str, str],
    given: options.Options,
) -> Launch:
    command = runtime.plan_command(
        pod,
        images.plan_argv(spec, env),
        state.exit_file(given.state_dir, pod.uid, container.live_run.id),
        spec.get("workingDir") or "/",
        own_proc=runtime.can_mount_proc(),
    )
    return Launch(command, env, logs.file_of(given, pod, container))


def launch(container: state.Container, how: Launch, spec: Object) -> state.Container:
    """Start the process. Without a readiness probe of any kind the container is ready at once."""
    pid = runtime.start(how.command, how.env, how.log_file)
    run = dataclasses.replace(container.live_run, pid=pid, ticks=state.ticks_of(pid))
    ready = not any(probe.kind == "Readiness" for probe in probes.parse_probes(spec))
    return dataclasses.replace(container, run=run, ready=ready, retry_at=0.0)


def find(pod: state.Pod, run: state.Run, given: options.Options) -> state.Run:
    """The run with its process, where an earlier podlet could not note it any more."""
    if run.pid:
        return run
    pid = runtime.find(pod.netns, state.exit_file(given.state_dir, pod.uid, run.id))
    return dataclasses.replace(run, pid=pid, ticks=state.ticks_of(pid) if pid else 0)


def environment(
    wanted: Object,
    pod: state.Pod,
    spec: Object,
    given: options.Options,
    api_service: Mapping[str, str],
) -> dict[str, str]:
    """Who the pod is, where it runs and where the API server is; then the container's own."""
    facts = {
        "POD_NAME": pod.name,
        "POD_NAMESPACE": pod.namespace,
        "POD_IP": str(pod.address),
        "NODE_NAME": given.name,
        "HOST_IP": str(given.address),
        **api_service,
    }
    return images.plan_environment(wanted, spec, facts, _PATH)
