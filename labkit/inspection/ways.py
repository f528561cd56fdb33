"""The five ways into a Service, and a request for each that can be typed again by hand.

Where a packet is caught depends on who sends it and on what it dials:

    what it dials      sent by the node itself (OUTPUT)   arriving at the node (PREROUTING)
    clusterIP:port     KUBE-PORTALS-HOST                  KUBE-PORTALS-CONTAINER
    nodeIP:nodePort    KUBE-NODEPORT-HOST                 KUBE-NODEPORT-CONTAINER

A pod has a network stack of its own: to its node, what it sends arrives. So does what comes from
another machine, and that makes five.

The plan gives each way a counter of its own, a chain on a node that no other way touches. Then
the counters before and after all five are proof for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labkit.model import commands, portals, proxying, resources, spec

#: How long a request may take. A proxy tries four endpoints within 3.75 s before it gives up.
TIMEOUT_S = 5
#: What curl adds under the answer: how long it took, and the address that it sent from.
MEASURED = r"\n%{time_total} %{local_ip}"


@dataclass(frozen=True, slots=True)
class Way:
    """One way in: who sends, what is dialled, which chain catches it, and what its rule does."""

    number: int
    client: str
    dials: Literal["clusterIP:port", "nodeIP:nodePort"]
    chain: str
    verdict: Literal["REDIRECT", "DNAT"]

    @property
    def hook(self) -> str:
        """Where the packet meets the chain: PREROUTING or OUTPUT."""
        chain = portals.chain(self.chain)
        assert chain is not None
        return chain.hook


WAYS = (
    Way(1, "a pod on the node", "clusterIP:port", "KUBE-PORTALS-CONTAINER", "REDIRECT"),
    Way(2, "a process on the node", "clusterIP:port", "KUBE-PORTALS-HOST", "DNAT"),
    Way(3, "another machine", "nodeIP:nodePort", "KUBE-NODEPORT-CONTAINER", "REDIRECT"),
    Way(4, "a pod on the node", "nodeIP:nodePort", "KUBE-NODEPORT-CONTAINER", "REDIRECT"),
    Way(5, "a process on the node", "nodeIP:nodePort", "KUBE-NODEPORT-HOST", "DNAT"),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: sent on `machine`, to be caught on `catcher`.

    With `pod` (`namespace/name`) it is sent from the pod's network. With `why_not` it cannot be
    sent in this lab, and that says why.
    """

    way: Way
    port_name: str = ""
    machine: str = ""
    pod: str = ""
    address: str = ""
    port: int = 0
    catcher: str = ""
    why_not: str = ""

    @property
    def typed(self) -> tuple[str, ...]:
        """The command as one would type it on the machine."""
        url = f"http://{self.address}:{self.port}/"
        curl = ("curl", "-sS", "--noproxy", "*", "--max-time", str(TIMEOUT_S), url)
        return ("ip", "netns", "exec", self.pod.replace("/", "_"), *curl) if self.pod else curl

    @property
    def argv(self) -> tuple[str, ...]:
        """The command as it is sent: it also measures."""
        return (*self.typed, "--write-out", MEASURED)

    @property
    def line(self) -> str:
        """The command as one would type it on the learner's own machine."""
        return commands.Command(self.typed, node=self.machine).line

    @property
    def client(self) -> str:
        name = self.pod.partition("/")[2]
        return f"pod {name} on {self.machine}" if name else self.machine


@dataclass(frozen=True, slots=True)
class _Stage:
    """Who plays which part: the node at home, a pod on it, another node, another machine."""

    home: spec.NodeSpec
    pod: str
    other: spec.NodeSpec
    outside: spec.NodeSpec


def plan_ways(
    lab: spec.LabSpec, service: resources.Object, pods: Sequence[resources.Object]
) -> tuple[Attempt, ...]:
    """Choose the sender and the address of each way. All five are returned, in order.

    Each is caught by a chain on a node that no other one uses: the third way is sent to another
    node than the fourth.
    """
    port, why_not = _choose_port(service)
    if port is None:
        return tuple(Attempt(way, why_not=why_not) for way in WAYS)
    stage = _set_stage(lab, pods)
    return tuple(_plan_way(way, port, stage) for way in WAYS)


def _choose_port(service: resources.Object) -> tuple[proxying.ServicePort | None, str]:
    """The first TCP port; else why there is none."""
    why = proxying.why_skipped(service)
    if why:
        return None, f"kube-proxy does not serve it: {why}"
    tcp = [port for port in proxying.parse_service(service) if port.protocol == "TCP"]
    if not tcp:
        return None, "it has no TCP port, and curl speaks only TCP"
    return tcp[0], ""


def _set_stage(lab: spec.LabSpec, pods: Sequence[resources.Object]) -> _Stage:
    """Home is the first worker that runs a pod; workers are preferred to the control node."""
    nodes = [*lab.workers, lab.control]
    senders = sorted(
        (place, resources.name_of(pod))
        for place, node in enumerate(nodes)
        for pod in pods
        if _can_send(pod, node)
    )
    place, pod = senders[0] if senders else (0, "")
    home = nodes.pop(place)
    outside = [node for node in lab.nodes if not node.in_cluster]
    return _Stage(home, pod, nodes[0], outside[0] if outside else home)


def _can_send(pod: resources.Object, node: spec.NodeSpec) -> bool:
    """True for a pod that runs on `node` in a network namespace of its own."""
    asked, status = pod["spec"], pod.get("status") or {}
    return (
        asked.get("nodeName") == node.name
        and status.get("phase") == "Running"
        and not asked.get("hostNetwork")
        and not pod["metadata"].get("deletionTimestamp")
    )


def _plan_way(way: Way, port: proxying.ServicePort, stage: _Stage) -> Attempt:
    why_not = _why_not(way, port, stage)
    if why_not:
        return Attempt(way, str(port.name), why_not=why_not)
    elsewhere = way.client == "another machine"
    catcher = stage.other if elsewhere else stage.home
    by_service = way.dials == "clusterIP:port"
    return Attempt(
        way,
        port_name=str(port.name),
        machine=(stage.outside if elsewhere else stage.home).name,
        pod=stage.pod if way.client == "a pod on the node" else "",
        address=str(port.cluster_ip if by_service else catcher.address),
        port=port.port if by_service else port.node_port,
        catcher=catcher.name,
    )


def _why_not(way: Way, port: proxying.ServicePort, stage: _Stage) -> str:
    if way.dials == "nodeIP:nodePort" and not port.node_port:
        return "the Service has no nodePort"
    if way.client == "a pod on the node" and not stage.pod:
        return "no pod of its namespace runs that could send it"
    return ""
