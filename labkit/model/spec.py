"""What a lab is to be: its machines, its three networks, its proxy.

Three networks, none of which overlaps another:

    machines   192.168.56.0/24   control .10, workers .11 and up, the outside machine .100;
                                 .1 is the learner's own machine, as on a host-only network;
                                 .200 to .239, or what the lab file says, for load balancers
    pods       10.244.0.0/16     a /24 for each node: 10.244.0.0/24 for control, then .1, .2, ...
    Services   10.96.0.0/16      no machine has these addresses; only rules know them

Values are checked here, once, when they are made; later code never checks again.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from labkit import errors
from labkit.model import pool

Role = Literal["control-plane", "worker", "outside"]

API_PORT = 6443
DEFAULT_NAME = "lab"
#: A pod network is handed out in pieces of this prefix length, as kubenet did.
POD_PREFIX = 24
#: 28 characters leave room for `/run/user/65534/labkit/NAME/holder.sock` in sun_path's 108 bytes.
LAB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,26}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One machine. An outside machine has no pod network: it is not part of the cluster."""

    name: str
    role: Role
    address: IPv4Address
    pod_network: IPv4Network | None = None
    #: The learner's own machine in this role: no provider makes it, and nothing is put on it.
    is_here: bool = False

    @property
    def in_cluster(self) -> bool:
        return self.role != "outside"


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """How the agent is started. `flags` are kube-proxy's own, without the leading dashes."""

    mode: str = "userspace"
    flags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlPlaneSpec:
    """Whose API server the lab uses: its own, or the one of a context in a kubeconfig."""

    kubeconfig: str = ""
    #: Empty: the kubeconfig's current context.
    context: str = ""

    @property
    def is_external(self) -> bool:
        return bool(self.kubeconfig)


@dataclass(frozen=True, slots=True)
class VagrantSpec:
    """What Vagrant makes of each machine. An empty `provider` or `box`: what fits this machine."""

    provider: str = ""
    box: str = ""
    box_version: str = ""
    memory: int = 1024
    cpus: int = 1
    #: Settings of Vagrant's provider by their own names, such as `linked_clone`.
    options: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A machine that exists already. Without `key`, the lab's own is tried."""

    name: str
    address: str  # IPv4: the other nodes and the rules need it, too
    role: Role = "worker"
    port: int = 22
    user: str = "root"
    key: str = ""
    #: As in authorized_keys: `ssh-ed25519 AAAA...`. Without it, the learner's known_hosts says.
    host_key: str = ""


@dataclass(frozen=True, slots=True)
class LabSpec:
    """A whole lab. Make one with `plan`, which checks it."""

    name: str
    provider: str
    machine_network: IPv4Network
    pod_network: IPv4Network
    service_network: IPv4Network
    node_ports: tuple[int, int]
    #: The addresses of Services of type LoadBalancer. No machine has one.
    load_balancers: pool.Pool
    nodes: tuple[NodeSpec, ...]
    proxy: ProxySpec = ProxySpec()
    control_plane: ControlPlaneSpec = ControlPlaneSpec()
    vagrant: VagrantSpec = VagrantSpec()
    hosts: tuple[HostSpec, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the lab as a lab file with every key said."""
        first, last = self.node_ports
        return {
            "name": self.name,
            "provider": self.provider,
            "nodes": {
                "workers": len(self.workers),
                "clients": len(self.nodes) - len(self.cluster),
            },
            "network": {
                "machines": str(self.machine_network),
                "pods": str(self.pod_network),
                "services": str(self.service_network),
                "node_ports": f"{first}-{last}",
                "load_balancers": str(self.load_balancers),
            },
            "proxy": {"mode": self.proxy.mode, "flags": dict(self.proxy.flags)},
            "control_plane": {
                "kubeconfig": self.control_plane.kubeconfig,
                "context": self.control_plane.context,
            },
            "vagrant": dataclasses.asdict(self.vagrant),
            "hosts": [dataclasses.asdict(host) for host in self.hosts],
        }

    @property
    def machines(self) -> tuple[NodeSpec, ...]:
        """The nodes that the provider makes: all but the learner's own machine."""
        return tuple(node for node in self.nodes if not node.is_here)

    @property
    def cluster(self) -> tuple[NodeSpec, ...]:
        return tuple(node for node in self.nodes if node.in_cluster)

    @property
    def workers(self) -> tuple[NodeSpec, ...]:
        return tuple(node for node in self.nodes if node.role == "worker")

    @property
    def control(self) -> NodeSpec:
        return next(node for node in self.nodes if node.role == "control-plane")

    @property
    def learner_address(self) -> IPv4Address:
        """The learner's own machine, as the nodes see it."""
        return self.machine_network[1]

    @property
    def api_service_address(self) -> IPv4Address:
        """The clusterIP of `default/kubernetes`: always the first of the Service network."""
        return self.service_network[1]

    def node(self, name: str) -> NodeSpec:
        """Raises NothingMatched for a name that no machine of this lab has."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise errors.NothingMatched(f"lab {self.name} has no node {name!r}", hint=f"it has {known}")


def check_name(name: str) -> str:
    """Return `name` if it can be a lab's; raises ConfigError that says which names can."""
    if not LAB_NAME.fullmatch(name):
        raise errors.ConfigError(
            f"{name!r} cannot be a lab's name",
            hint="use 1 to 28 lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends",
        )
    return name


def check_snapshot(name: str) -> str:
    """Return `name` if it can be a snapshot's; raises ConfigError."""
    if not LAB_NAME.fullmatch(name):
        raise errors.ConfigError(
            f"{name!r} cannot be a snapshot's name",
            hint="use 1 to 28 lower-case letters, digits and hyphens",
        )
    return name


def plan(
    name: str = DEFAULT_NAME,
    *,
    provider: str = "netns",
    workers: int = 2,
    clients: int = 1,
    machine_network: IPv4Network = IPv4Network("192.168.56.0/24"),
    pod_network: IPv4Network = IPv4Network("10.244.0.0/16"),
    service_network: IPv4Network = IPv4Network("10.96.0.0/16"),
    node_ports: tuple[int, int] = (30000, 32767),
    load_balancers: pool.Pool | None = None,
    proxy: ProxySpec | None = None,
    control_plane: ControlPlaneSpec | None = None,
    vagrant: VagrantSpec | None = None,
    hosts: tuple[HostSpec, ...] = (),
) -> LabSpec:
    """Give every machine its name, role and addresses. Raises ConfigError for what cannot be."""
    check_name(name)
    workers = len(hosts) - 1 if hosts else workers
    _check_counts(workers, clients)
    _check_networks({"machines": machine_network, "pods": pod_network, "services": service_network})
    _check_room(machine_network, pod_network, workers)
    pieces = list(pod_network.subnets(new_prefix=POD_PREFIX))
    nodes = _plan_hosts(hosts, pieces) or [
        NodeSpec("control", "control-plane", machine_network[10], pieces[0])
    ]
    nodes += [
        NodeSpec(f"node{i}", "worker", machine_network[10 + i], pieces[i])
        for i in range(1, workers + 1)
        if not hosts
    ]
    nodes += _plan_clients(clients, provider, machine_network)
    balanced = load_balancers or pool.Pool(machine_network[200], machine_network[239])
    _check_load_balancers(balanced, machine_network, nodes)
    return LabSpec(
        name,
        provider,
        machine_network,
        pod_network,
        service_network,
        node_ports,
        balanced,
        tuple(nodes),
        proxy or ProxySpec(),
        control_plane or ControlPlaneSpec(),
        vagrant or VagrantSpec(),
        hosts,
    )


def _plan_hosts(hosts: tuple[HostSpec, ...], pieces: list[IPv4Network]) -> list[NodeSpec]:
    """Hosts as nodes, the control node first; names and addresses must differ."""
    ordered = sorted(hosts, key=lambda host: host.role != "control-plane")
    for what in ("name", "address"):
        said = [getattr(host, what) for host in ordered]
        doubled = next((each for each in said if said.count(each) > 1), None)
        if doubled:
            raise errors.ConfigError(
                f"two hosts have the {what} {doubled}", hint="each needs one of its own"
            )
    return [
        NodeSpec(host.name, host.role, _parse_address(host), piece)
        for host, piece in zip(ordered, pieces, strict=False)
    ]


def _parse_address(host: HostSpec) -> IPv4Address:
    try:
        return IPv4Address(host.address)
    except ValueError as error:
        raise errors.ConfigError(
            f"hosts.address of {host.name} is {host.address!r}",
            hint="write an IPv4 address such as 192.0.2.10: the other nodes need it, too",
        ) from error


def _plan_clients(count: int, provider: str, network: IPv4Network) -> list[NodeSpec]:
    """Outside of the cluster; where the learner's machine reaches the nodes, it is the one."""
    if provider != "netns":
        return [NodeSpec("client", "outside", network[1], is_here=True)][:count]
    return [
        NodeSpec("client" if i == 0 else f"client{i + 1}", "outside", network[100 + i])
        for i in range(count)
    ]


def from_json(data: Mapping[str, Any]) -> LabSpec:
    """Make the lab again that `LabSpec.to_json` described."""
    network = data["network"]
    first, _, last = network["node_ports"].partition("-")
    return plan(
        data["name"],
        provider=data["provider"],
        workers=data["nodes"]["workers"],
        clients=data["nodes"]["clients"],
        machine_network=IPv4Network(network["machines"]),
        pod_network=IPv4Network(network["pods"]),
        service_network=IPv4Network(network["services"]),
        node_ports=(int(first), int(last)),
        # A lab that an earlier release made says nothing of these two.
        load_balancers=parse_pool(network["load_balancers"])
        if "load_balancers" in network
        else None,
        proxy=ProxySpec(**data["proxy"]),
        control_plane=ControlPlaneSpec(**data.get("control_plane", {})),
        vagrant=VagrantSpec(**data.get("vagrant", {})),
        hosts=tuple(HostSpec(**host) for host in data.get("hosts", ())),
    )


def _check_counts(workers: int, clients: int) -> None:
    if not 1 <= workers <= 80:
        raise errors.ConfigError(f"nodes.workers is {workers}", hint="1 to 80 are possible")
    if not 0 <= clients <= 50:
        raise errors.ConfigError(f"nodes.clients is {clients}", hint="0 to 50 are possible")


def _check_networks(networks: Mapping[str, IPv4Network]) -> None:
    named = list(networks.items())
    for index, (name, network) in enumerate(named):
        for other_name, other in named[index + 1 :]:
            if network.overlaps(other):
                raise errors.ConfigError(
                    f"the network of {name} ({network}) overlaps that of {other_name} ({other})",
                    hint="choose three networks that have no address in common",
                )


def _check_room(machines: IPv4Network, pods: IPv4Network, workers: int) -> None:
    if machines.num_addresses < 256:
        raise errors.ConfigError(
            f"the network of machines ({machines}) is too small", hint="a /24 or larger is needed"
        )
    if pods.prefixlen > POD_PREFIX or 2 ** (POD_PREFIX - pods.prefixlen) < workers + 1:
        raise errors.ConfigError(
            f"the pod network {pods} has no /{POD_PREFIX} for each of {workers + 1} nodes",
            hint="a /16 has room for 256 nodes",
        )


def _check_load_balancers(
    balanced: pool.Pool, machines: IPv4Network, nodes: list[NodeSpec]
) -> None:
    taken = {node.address: f"is {node.name}'s" for node in nodes if not node.is_here} | {
        machines.network_address: "is the network's own",
        machines[1]: "is the learner's own machine's",
        machines.broadcast_address: "is the network's broadcast address",
    }
    wrong = [f"{end} is outside of {machines}" for end in balanced.ends if end not in machines]
    wrong += [f"{address} {whose}" for address, whose in taken.items() if address in balanced]
    if wrong:
        raise errors.ConfigError(
            f"network.load_balancers is {balanced}, but {wrong[0]}",
            hint="choose addresses of the network of machines that no machine has, "
            f"such as {machines[200]}-{machines[239]}",
        )


def parse_network(text: str) -> IPv4Network:
    """`10.244.0.0/16` as a value. Raises ConfigError, also for an address with host bits set."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.ConfigError(
            f"{text!r} is not an IPv4 network: {error}", hint="write it as 10.244.0.0/16"
        ) from error


def parse_pool(text: str) -> pool.Pool:
    """`192.168.56.200-192.168.56.239`, or a network, as a value. Raises ConfigError."""
    try:
        return pool.parse_pool(text)
    except ValueError as error:
        raise errors.ConfigError(
            f"{text!r} is no range of IPv4 addresses: {error}",
            hint="write it as 192.168.56.200-192.168.56.239, or as 192.168.56.208/28",
        ) from error
