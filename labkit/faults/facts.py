"""What a fault is planned from: the example Service, its pods, and one node's rules.

All faults are about the Service `app1` of the example and its pods, wherever these run.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import errors
from labkit.model import example, resources, rules, ruletext, spec

if TYPE_CHECKING:
    from labkit.lab import Lab

NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class PodFact:
    """A pod that runs. `netns` is its network's name on its node."""

    name: str
    node: str
    address: str
    obj: resources.Object

    @property
    def netns(self) -> str:
        return f"{NAMESPACE}_{self.name}"


@dataclass(frozen=True, slots=True)
class Facts:
    """The lab as it is, looked at from `node`: where the fault is to be."""

    lab: spec.LabSpec
    node: spec.NodeSpec
    service: resources.Object
    pods: tuple[PodFact, ...]
    rules: rules.Ruleset
    #: Where the lab keeps its certificate authority.
    pki: Path

    @property
    def cluster_ip(self) -> str:
        return str(self.service["spec"]["clusterIP"])

    @property
    def port(self) -> resources.Object:
        """The Service's only port."""
        first: resources.Object = self.service["spec"]["ports"][0]
        return first

    @property
    def cluster_url(self) -> str:
        return f"http://{self.cluster_ip}:{self.port['port']}/"

    @property
    def node_port(self) -> int:
        """Raises UsageError for a Service without one."""
        if not self.port.get("nodePort"):
            raise errors.UsageError(
                f"{example.NAME} has no nodePort", hint="`labkit up` applies the example"
            )
        return int(self.port["nodePort"])

    @property
    def node_url(self) -> str:
        return f"http://{self.node.address}:{self.node_port}/"

    @property
    def outside(self) -> str:
        """A machine that is not this node, outside of the cluster where there is one."""
        others = [node for node in self.lab.nodes if node != self.node]
        outer = [node for node in others if not node.in_cluster]
        return (outer or others)[0].name

    @property
    def neighbour(self) -> spec.NodeSpec:
        """Another node of the cluster."""
        return next(node for node in self.lab.cluster if node != self.node)

    @property
    def own_pod(self) -> PodFact:
        """A pod on this node. Raises UsageError where there is none."""
        return self._pod([pod for pod in self.pods if pod.node == self.node.name], "on")

    @property
    def far_pods(self) -> tuple[PodFact, ...]:
        """The pods on other nodes. Raises UsageError where there is none."""
        far = [pod for pod in self.pods if pod.node != self.node.name]
        self._pod(far, "anywhere but on")
        return tuple(far)

    @property
    def all_pods(self) -> tuple[PodFact, ...]:
        """Raises UsageError where there is none."""
        self._pod([*self.pods], "anywhere, such as on")
        return self.pods

    def _pod(self, found: list[PodFact], where: str) -> PodFact:
        if not found:
            homes = ", ".join(sorted({pod.node for pod in self.pods}))
            raise errors.UsageError(
                f"this fault needs a pod of {example.NAME} {where} {self.node.name}",
                hint=f"its pods are on {homes}" if homes else "`labkit up` applies the example",
            )
        return found[0]

    def pod_url(self, pod: PodFact) -> str:
        return f"http://{pod.address}:{self.port['targetPort']}/"

    def spare_address(self) -> IPv4Address:
        """An address of this node's pod network that no pod has."""
        assert self.node.pod_network
        return self.node.pod_network[-3]


def read(lab: Lab, node: spec.NodeSpec) -> Facts:
    """Raises NothingMatched for a lab without the example."""
    client = lab.api.client
    try:
        service = client.get(resources.SERVICES, example.NAME, NAMESPACE)
    except errors.NotFound as error:
        raise errors.NothingMatched(
            f"faults are about the Service {example.NAME}, which the lab does not have",
            hint="`labkit up` applies the example",
        ) from error
    saved = lab.pool.connection(node.name).run(("iptables-save",))
    return Facts(
        lab=lab.spec,
        node=node,
        service=service,
        pods=tuple(_pods(client.list(resources.PODS, NAMESPACE)["items"])),
        rules=ruletext.parse_ruleset(saved.stdout),
        pki=lab.paths.pki,
    )


def _pods(items: list[resources.Object]) -> list[PodFact]:
    wanted = example.SERVICE["spec"]["selector"].items()
    return [
        PodFact(
            obj["metadata"]["name"],
            obj["spec"]["nodeName"],
            obj["status"]["podIP"],
            {"apiVersion": "v1", "kind": "Pod", **obj},
        )
        for obj in items
        if wanted <= (obj["metadata"].get("labels") or {}).items()
        and (obj.get("status") or {}).get("podIP")
    ]
