"""The journal and the proxy's state as JSON: what `/debug` shows. Pure.

Names are written as Kubernetes writes them. Times are given twice: as people read them, and as
seconds of the monotonic clock, which never jumps and can be subtracted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from labkit.agent import claims, journal, live, ways
from labkit.model import proxying

Json = dict[str, Any]


def describe_record(record: journal.Record, around: ways.Surroundings) -> Json:
    """One connection or session, as far as it is known."""
    port = record.service_port
    origin = ways.find_origin(record.client[0], around)
    way = ways.find_way(port, record.asked, around)
    up, down = record.moved()
    return {
        "number": record.number,
        "protocol": port.protocol,
        "servicePort": str(port.name),
        "client": _text(record.client),
        "clientIs": origin,
        "destination": _text(record.asked),
        "way": way,
        "chain": ways.find_chain(way, origin),
        **_describe_choice(record),
        "source": _text(record.source),
        "bytesUp": up,
        "bytesDown": down,
        "time": render_time(record.wall),
        "monotonic": {
            "began": record.began,
            "connected": record.connected or None,
            "ended": record.ended or None,
        },
        "state": "ended" if record.outcome else "connected" if record.connected else "dialling",
        "outcome": record.outcome,
        "detail": record.detail,
    }


def _describe_choice(record: journal.Record) -> Json:
    """The endpoint that was chosen in the end, why, and those that were tried before."""
    choice = record.choice
    failed = [{"endpoint": str(endpoint), "why": why} for endpoint, why in record.failures]
    if choice is None:
        return {"endpoint": None, "chosenBy": None, "failedDials": failed}
    return {
        "endpoint": str(choice.endpoint),
        "pod": choice.endpoint.pod,
        "node": choice.endpoint.node,
        "chosenBy": choice.reason,
        "position": choice.position or None,
        "of": choice.of,
        "failedDials": failed,
    }


def describe_port(entry: live.LivePort) -> Json:
    """A service port that is served: where it can be asked for, its rules, and who is next."""
    port, rotation = entry.service_port, entry.balancer
    return {
        **describe_listener(entry),
        "portals": _portals(port),
        "refused": entry.granted != port,
        "rules": [
            {"table": planned.table, "rule": planned.rule.text, "field": planned.service_field}
            for planned in entry.rules
        ],
        "endpoints": [
            {"endpoint": str(endpoint), "pod": endpoint.pod, "node": endpoint.node}
            for endpoint in rotation.endpoints
        ],
        "nextPosition": rotation.next_position or None,
        "affinityTimeoutSeconds": port.affinity_timeout_s or None,
        "affinity": [
            {"client": client, "endpoint": str(endpoint), "idleSeconds": round(idle_s, 3)}
            for client, (endpoint, idle_s) in rotation.affinity.items()
        ],
    }


def describe_listener(entry: live.LivePort) -> Json:
    """The socket at which a service port's packets arrive."""
    port = entry.service_port
    return {
        "servicePort": str(port.name),
        "protocol": port.protocol,
        "proxyPort": entry.proxy.port,
    }


def describe_claims(held: Iterable[tuple[claims.Claim, proxying.ServicePortName]]) -> list[Json]:
    """Ports of the node that are held so that nobody else can listen there in vain."""
    return [
        {
            "address": str(claim.address) if claim.address else "",
            "port": claim.port,
            "protocol": claim.protocol,
            "owner": str(owner),
        }
        for claim, owner in held
    ]


def describe_event(event: journal.Event, record: Json) -> Mapping[str, Any]:
    return {"event": event, "record": record}


def _portals(port: proxying.ServicePort) -> list[Json]:
    found = [("clusterIP", port.cluster_ip)]
    found += [("externalIP", address) for address in port.external_ips]
    found += [("loadBalancer", address) for address in port.ingress_ips]
    portals: list[Json] = [
        {"way": way, "address": str(address), "port": port.port} for way, address in found
    ]
    if port.node_port:
        portals.append({"way": "nodePort", "address": "", "port": port.node_port})
    return portals


def _text(address: journal.Address | None) -> str | None:
    return f"{address[0]}:{address[1]}" if address else None


def render_time(seconds: float) -> str:
    """As Kubernetes writes a MicroTime."""
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06}Z"
    )
