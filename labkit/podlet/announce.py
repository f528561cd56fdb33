"""Load balancers' addresses: this node takes the packets for them, though they are not its own.

    local 192.168.56.200 dev eth0 proto 77

One route of the kernel's table `local` is all: it makes the node answer when the network asks who
has the address (ARP), and keep the packets that then come. The rules of kube-proxy catch them. It
is what Google's machines do for the addresses of their load balancers.

Which addresses, the Node says. When one comes here from another node, the neighbours hear of it:
they would send to the old place for another minute or so.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address

from labkit.podlet import iproute

log = logging.getLogger(__name__)

#: The mark of ours: `ip route show table local proto 77` lists these routes and no others.
PROTOCOL = "77"
_ARP, _IPV4, _ETHERNET, _REQUEST = 0x0806, 0x0800, 1, 1
_EVERYBODY = b"\xff" * 6


def plan_changes(
    wanted: Collection[str], actual: Collection[str], device: str, own: IPv4Address
) -> tuple[str, ...]:
    """`own` is what a program of this node sends from when it asks for the address."""
    gone = tuple(
        f"route del local {address} table local proto {PROTOCOL}"
        for address in actual
        if address not in wanted
    )
    new = tuple(
        f"route add local {address} dev {device} src {own} proto {PROTOCOL}"
        for address in wanted
        if address not in actual
    )
    return gone + new


def ensure(wanted: Collection[str], own: IPv4Address) -> None:
    """Answer for these addresses and for no others."""
    held = actual()
    if set(wanted) == set(held):
        return
    device = device_of(own)
    iproute.run(lines=plan_changes(wanted, held, device, own), force=True)
    log.info("answering for %s", ", ".join(wanted) or "nobody else")
    tell(device, [address for address in wanted if address not in held])


def actual() -> tuple[str, ...]:
    routes = iproute.ask("route", "show", "table", "local", "proto", PROTOCOL)
    return tuple(route["dst"] for route in routes)


def device_of(own: IPv4Address) -> str:
    """The interface by which this node is in the network of the machines."""
    found = next(_named(iproute.ask("address", "show", "to", str(own))), "")
    if not found:
        raise OSError(f"no interface has the address {own}")
    return found


def _named(links: list[dict[str, str]]) -> Iterator[str]:
    """Some versions of `ip` list empty objects for the interfaces that do not match."""
    return (link["ifname"] for link in links if link.get("ifname"))


def tell(device: str, addresses: Collection[str]) -> None:
    """Tell everybody on the network where these addresses are from now on."""
    if not addresses:
        return
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        mac = sock.getsockname()[4]
        for address in addresses:
            sock.send(render_announcement(mac, IPv4Address(address)))


def render_announcement(mac: bytes, address: IPv4Address) -> bytes:
    """A gratuitous ARP request: who has this address? tell it, at this MAC. Nobody answers."""
    ethernet = _EVERYBODY + mac + _ARP.to_bytes(2)
    header = _ETHERNET.to_bytes(2) + _IPV4.to_bytes(2) + b"\x06\x04" + _REQUEST.to_bytes(2)
    return ethernet + header + mac + address.packed + bytes(6) + address.packed
