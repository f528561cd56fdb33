"""A pod's way to the world: its own namespace, a wire to the node's bridge, a route.

    pod default_app1-1             node1                                    node2
    eth0 10.244.1.2/24 ───lk…──▶ cbr0 10.244.1.1/24
         default via 10.244.1.1         10.244.2.0/24 via 192.168.56.12 ──▶ cbr0 10.244.2.1/24

That is kubenet, the simplest network that fulfils Kubernetes' rule: every pod reaches every pod at
its own address, without translation. One bridge per node, and on each node one route per other
node. What is ours carries a mark: the wire's alias names its pod.

`plan_*` write lines as one types them after `ip`; `ensure_*` and the like run them in one batch.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labkit import errors
from labkit.podlet import iproute

log = logging.getLogger(__name__)

BRIDGE = "cbr0"
#: The alias of a pod's wire is this and the name of the pod's namespace.
ALIAS = "labkit/"
NETNS_FOLDER = pathlib.Path("/run/netns")
#: A route with a smaller metric is preferred; what DHCP brings has 100 to 1024.
_LAST_RESORT = 65535
_FORWARDING = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
#: Bridged packets meet iptables too. The file is there only where br_netfilter is loaded.
_BRIDGE_NF = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def mac_of(address: IPv4Address) -> str:
    """The MAC that belongs to an address, as kubenet makes it: neighbours never hold an old one."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in address.packed)


def gateway_of(network: IPv4Network) -> IPv4Address:
    return network[1]


def allocate(
    network: IPv4Network,
    taken: Iterable[IPv4Address],
    *,
    wish: IPv4Address | None = None,
    after: IPv4Address | None = None,
) -> IPv4Address:
    """Choose a pod's address: the one it wishes, else the next free one after the last handed out.

    Going round keeps an address unused for as long as possible, so that what somebody still sends
    to a pod that is gone does not reach another. Raises LabkitError when all are taken.
    """
    used = {*taken, gateway_of(network)}
    if wish is not None and wish in network and wish not in used:
        return wish
    hosts = network.num_addresses - 2
    start = int(after) - int(network[0]) if after is not None and after in network else 0
    for step in range(hosts):
        candidate = network[(start + step) % hosts + 1]
        if candidate not in used:
            return candidate
    raise errors.LabkitError(f"no address is free in {network}: {len(used)} are in use")


def plan_bridge(
    network: IPv4Network, *, exists: bool, wires: Iterable[str] = ()
) -> tuple[str, ...]:
    """Make or mend the bridge; `wires` are those of pods, which it may have lost."""
    gateway = gateway_of(network)
    add = () if exists else (f"link add {BRIDGE} address {mac_of(gateway)} type bridge",)
    return (
        *add,
        f"addr replace {gateway}/{network.prefixlen} dev {BRIDGE}",
        f"link set {BRIDGE} up",
        *(f"link set {wire} master {BRIDGE}" for wire in wires),
    )


def plan_way_out(
    address: IPv4Address, routes: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """A default route for a machine without one, such as a VM that has nothing but the lab.

    A clusterIP is no machine's address. Yet the kernel looks for its route first, and only then
    asks OUTPUT, where the rule rewrites it: without any route, connecting fails at once. Any other
    default route, whenever it comes, goes before this one.
    """
    if routes or not links:
        return ()
    return (f"route add default dev {links[0]['ifname']} src {address} metric {_LAST_RESORT}",)


def ensure_node(network: IPv4Network, address: IPv4Address) -> None:
    """The bridge with the first address of the node's pod network, and a kernel that forwards."""
    routes = iproute.ask("route", "show", "default")
    links = iproute.ask("addr", "show", "to", f"{address}/32")
    if way_out := plan_way_out(address, routes, links):
        iproute.run(lines=way_out)
    exists = iproute.has_link(BRIDGE)
    iproute.run(lines=plan_bridge(network, exists=exists, wires=marked_pods() if exists else ()))
    _switch_on(_FORWARDING, "packets are not passed on between pods and the world")
    if _BRIDGE_NF.exists():
        _switch_on(_BRIDGE_NF, "packets between pods of this node pass iptables by")
    else:
        log.info("%s is absent: packets between pods of this node pass iptables by", _BRIDGE_NF)


def plan_pod(
    netns: str, veth: str, address: IPv4Address, network: IPv4Network
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to do on the node, then what to do within the new namespace."""
    on_node = (
        f"netns add {netns}",
        f"link add {veth} type veth peer name eth0 address {mac_of(address)} netns {netns}",
        f"link set {veth} alias {ALIAS}{netns} master {BRIDGE} up",
    )
    within = (
        "link set lo up",
        f"addr add {address}/{network.prefixlen} dev eth0",
        "link set eth0 up",
        f"route add default via {gateway_of(network)}",
    )
    return on_node, within


def add_pod(netns: str, veth: str, address: IPv4Address, network: IPv4Network) -> None:
    """Make the pod's namespace and wire it; what a crash left of it is removed first."""
    remove_pod(netns, veth)
    on_node, within = plan_pod(netns, veth, address, network)
    iproute.run(lines=on_node)
    iproute.run("-n", netns, lines=within)


def remove_pod(netns: str, veth: str) -> None:
    """Nothing is left of it afterwards, whatever there was before."""
    lines = [f"link del {veth}"] if iproute.has_link(veth) else []
    if (NETNS_FOLDER / netns).exists():
        lines.append(f"netns del {netns}")
    if lines:
        iproute.run(lines=lines)


def is_wired(netns: str, veth: str) -> bool:
    """True while the pod's namespace is mounted (a file alone is not one) and its wire is there."""
    return _is_namespace(netns) and iproute.has_link(veth)


def marked_pods() -> dict[str, str]:
    """The wires that carry our mark: the name of each, and of its pod's namespace."""
    links = iproute.ask("link", "show", "type", "veth")
    return {
        link["ifname"]: link["ifalias"].removeprefix(ALIAS)
        for link in links
        if link.get("ifalias", "").startswith(ALIAS)
    }


def pids_in(netns: str) -> tuple[int, ...]:
    """Every process whose network is the pod's, whoever started it."""
    if not _is_namespace(netns):
        return ()
    return tuple(int(pid) for pid in iproute.run("netns", "pids", netns).split())


def remove_node() -> None:
    """Take away the bridge. Forwarding stays: others may have come to rely on it."""
    if iproute.has_link(BRIDGE):
        iproute.run("link", "del", BRIDGE)


def _is_namespace(netns: str) -> bool:
    """A file in /run/netns is only a name; a namespace is mounted on it."""
    try:
        return (NETNS_FOLDER / netns).stat().st_dev != NETNS_FOLDER.stat().st_dev
    except OSError:
        return False


def _switch_on(path: pathlib.Path, otherwise: str) -> None:
    try:
        if path.read_text().strip() != "1":
            path.write_text("1\n")
    except OSError as error:
        log.warning("%s cannot be set to 1 (%s): %s", path, error.strerror, otherwise)


def is_elsewhere(pid: int) -> bool:
    """True when the process is in another network namespace than this one."""
    try:
        theirs, ours = (pathlib.Path(f"/proc/{who}/ns/net").stat() for who in (pid, "self"))
    except OSError:
        return False
    return theirs.st_ino != ours.st_ino
