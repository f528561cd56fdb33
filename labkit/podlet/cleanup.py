"""`--cleanup`: afterwards the node is as if the podlet had never run. Only what is marked goes.

The marks: the records in the run folder, the alias of a pod's wire, the protocol numbers of routes,
and the bridge's name, which is ours on a node of ours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal

from labkit.podlet import announce, logs, network, options, routes, runtime, state

log = logging.getLogger(__name__)

#: SIGKILL cannot be refused; what still stands after this is stuck in the kernel.
_DEATH_S = 5.0


def clean(given: options.Options) -> None:
    """Remove every pod, the routes and the bridge. Also without records, and after any crash."""
    wires = network.marked_pods()
    for pod in state.load(given.state_dir):
        wires[pod.veth] = pod.netns
        for container in pod.containers:
            if container.is_running:
                runtime.kill(container.live_run)
    for veth, netns in wires.items():
        _end_all(network.pids_in(netns))
        network.remove_pod(netns, veth)
        for folder in given.log_dir.glob(f"{netns}_*"):
            logs.forget(folder)
        log.info("removed the pod %s", netns)
    state.forget_all(given.state_dir)
    routes.ensure({})
    announce.ensure((), given.address)
    network.remove_node()


def _end_all(pids: tuple[int, ...]) -> None:
    """Kill, and wait until they are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                os.kill(pid, signal.SIGKILL)
                select.select([fd], [], [], _DEATH_S)
            finally:
                os.close(fd)
