"""From the sender to the pod: over every machine on the way, and through a proxy in userspace.

A packet that leaves one machine arrives at the next, which has rules of its own. Where it is
delivered to a port that a proxy listens on, it has come to its end: the proxy dials a pod, each as
often as any other, and *that* packet is a new one, from the node's own address. So the pod sees the
node as its client, which the second leg of the journey shows. A proxy whose dial fails tries
another pod, and the client hears nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from labkit.inspection import sockets
from labkit.inspection.predict import hooks, packets, walking

#: A machine, a protocol and a port: where a proxy listens.
Listener = tuple[str, str, int]
#: How the program is named that holds proxy ports and nodePorts.
PROXY = "kube-proxy"
#: So many pods a proxy tries for one TCP connection (kube-proxy's endpointDialTimeouts).
_ATTEMPTS = 4
#: A packet that has been over so many machines goes round in circles.
_MOST_LEGS = 8


@dataclass(frozen=True, slots=True)
class World:
    """All that decides: machines, who has which pod's address, and what proxies stand for.

    `sockets` are those that listen, of each machine that could be asked; `in_pods`, of each pod.
    """

    machines: Mapping[str, packets.Machine]
    pods: Mapping[IPv4Address, str] = field(default_factory=dict)
    proxies: Mapping[Listener, Sequence[tuple[IPv4Address, int]]] = field(default_factory=dict)
    in_pods: Mapping[IPv4Address, Sequence[sockets.Socket]] = field(default_factory=dict)
    sockets: Mapping[str, Sequence[sockets.Socket]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leg:
    """The way over one machine. `dialled` is the packet as it came there."""

    machine: str
    dialled: packets.Packet
    passage: walking.Passage


@dataclass(frozen=True, slots=True)
class Journey:
    """One of the ways that a request can take. `share` is how often, of all times."""

    legs: tuple[Leg, ...]
    share: float
    end: str
    reached: bool

    @property
    def unsure(self) -> tuple[str, ...]:
        return tuple(text for leg in self.legs for text in leg.passage.unsure)

    @property
    def hops(self) -> tuple[walking.Hop, ...]:
        return tuple(hop for leg in self.legs for hop in leg.passage.taken)

    def __str__(self) -> str:
        lines = [f"{self.share:.0%}  {self.end}"]
        for leg in self.legs:
            lines.append(f"  {leg.machine}: {leg.dialled}")
            taken = leg.passage.taken
            lines += [f"    {hop.hook} {hop.table}  {hop.rule.text}" for hop in taken]
            if leg.passage.packet != leg.dialled:
                lines.append(f"    becomes {leg.passage.packet}")
        lines += [f"  if {text}" for text in self.unsure]
        return "\n".join(lines)


def from_process(world: World, machine: str, packet: packets.Packet) -> tuple[Journey, ...]:
    """A process on the machine sends it: every way that it can take, the most frequent first."""
    return _sorted(_send(world, machine, packet, ()))


def arriving(world: World, machine: str, packet: packets.Packet) -> tuple[Journey, ...]:
    """It comes to the machine by an interface: from a pod there, or from another machine."""
    return _sorted(_receive(world, machine, packet, ()))


def _sorted(found: Iterator[Journey]) -> tuple[Journey, ...]:
    return tuple(sorted(found, key=lambda one: -one.share))


def _send(
    world: World, name: str, packet: packets.Packet, before: tuple[Leg, ...]
) -> Iterator[Journey]:
    for outcome in hooks.send(world.machines[name], packet):
        yield from _go_on(world, (*before, Leg(name, packet, outcome.passage)), outcome)


def _receive(
    world: World, name: str, packet: packets.Packet, before: tuple[Leg, ...]
) -> Iterator[Journey]:
    for outcome in hooks.receive(world.machines[name], packet):
        yield from _go_on(world, (*before, Leg(name, packet, outcome.passage)), outcome)


def _go_on(world: World, legs: tuple[Leg, ...], outcome: hooks.Outcome) -> Iterator[Journey]:
    machine, packet = legs[-1].machine, outcome.passage.packet
    if outcome.stopped:
        rule = outcome.passage.taken[-1].rule.text if outcome.passage.taken else "a policy"
        yield _end(legs, f"{outcome.passage.verdict} on {machine} by {rule}", reached=False)
    elif len(legs) == _MOST_LEGS:
        yield _end(legs, "it goes round in circles", reached=False)
    elif outcome.delivered:
        yield from _deliver(world, legs, packet)
    else:
        yield from _leave(world, legs, packet)


def _deliver(world: World, legs: tuple[Leg, ...], packet: packets.Packet) -> Iterator[Journey]:
    """To a process: where that is a proxy, the request goes on as the proxy's own."""
    name = legs[-1].machine
    endpoints = world.proxies.get((name, packet.protocol, packet.port))
    listener = None
    if name in world.sockets:
        listener = sockets.find_listener(world.sockets[name], packet.protocol, packet.port)
        if listener is None:
            yield _end(legs, f"nobody listens at port {packet.port} on {name}", reached=False)
            return
    if endpoints is None:
        yield _end_at_process(legs, packet.port, listener)
        return
    if not endpoints:
        yield _end(legs, f"the proxy on {name} has no endpoint", reached=False)
    machine = world.machines[name]
    dials = []
    for address, port in endpoints:
        source = machine.route(address).address
        dialled = packets.Packet(packet.protocol, source, address, port)
        dials.append(tuple(_send(world, name, dialled, legs)))
    yield from _share_out(dials, _ATTEMPTS if packet.protocol == "tcp" else 1)


def _share_out(dials: Sequence[Sequence[Journey]], attempts: int) -> Iterator[Journey]:
    """How often each pod is where the proxy's search ends: it begins anywhere in the rotation.

    Of a search that fails, each pod that does not answer gets its part.
    """
    answering = [any(one.reached for one in found) for found in dials]
    count, good = len(dials), sum(answering)
    bad = count - good
    failing = math.comb(bad, attempts) / math.comb(count, attempts) if bad >= attempts else 0.0
    for found, answers in zip(dials, answering, strict=True):
        for one in found:
            if not good:
                yield replace(one, share=one.share / count)
            elif answers:
                yield replace(one, share=one.share * (1 - failing) / good)
            else:
                end = f"{one.end}; the proxy goes on to another pod" if attempts > 1 else one.end
                yield replace(one, share=one.share * failing / bad, end=end)


def _end_at_process(legs: tuple[Leg, ...], port: int, listener: sockets.Socket | None) -> Journey:
    """kube-proxy holds nodePorts only so that nobody else listens there; it accepts nothing."""
    name = legs[-1].machine
    if listener and listener.program == PROXY:
        held = f"{PROXY} on {name} holds port {port}, and no rule leads from there to a proxy port"
        return _end(legs, held, reached=False)
    owner = listener.owner if listener else "a process"
    return _end(legs, f"{owner} on {name} at port {port}", reached=True)


def _end_at_pod(world: World, legs: tuple[Leg, ...], packet: packets.Packet) -> Journey:
    name, pod = legs[-1].machine, packet.destination
    listening = world.in_pods.get(pod)
    if listening is None or sockets.find_listener(listening, packet.protocol, packet.port):
        return _end(legs, f"pod {pod}:{packet.port} on {name}", reached=True)
    return _end(legs, f"nobody listens at port {packet.port} in pod {pod} on {name}", reached=False)


def _leave(world: World, legs: tuple[Leg, ...], packet: packets.Packet) -> Iterator[Journey]:
    name = legs[-1].machine
    home = world.pods.get(packet.destination)
    if home == name:
        yield _end_at_pod(world, legs, packet)
        return
    if home is None:
        homes = (n for n, one in world.machines.items() if one.is_local(packet.destination))
        home = next(homes, None)
    if home is None:
        where = f"{packet.destination}:{packet.port}"
        yield _end(legs, f"it leaves {name} for {where}, which no machine here has", reached=False)
        return
    there = world.machines[home].route(packet.source).name
    fresh = packets.Packet(
        packet.protocol,
        packet.source,
        packet.destination,
        packet.port,
        packet.source_port,
        arrives_by=there,
    )
    yield from _receive(world, home, fresh, legs)


def _end(legs: tuple[Leg, ...], end: str, *, reached: bool) -> Journey:
    share = 1.0
    for leg in legs:
        share *= leg.passage.share
    return Journey(legs, share, end, reached)
