"""Everything that a fault could change, as lines of text: the same before a fault as after it.

    rules      iptables-save of all tables, letter by letter; only counters and times are left out
    network    addresses, MTUs and routes of the node, and of each of its pods
    settings   what the kernel was told
    objects    Services, endpoints and pods of the namespace `default`, as far as they matter here

A node that was started anew meanwhile is another one: it has nothing of what was done to the last.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit.faults import facts, fault
from labkit.model import resources

if TYPE_CHECKING:
    from labkit.lab import Lab

#: Lines by place: a node, or the API server.
Look = Mapping[str, tuple[str, ...]]
API = "API server"
_BOOT, _POD = "boot ", "pod "

_SCRIPT = r"""
set -- $(cat /proc/1/stat); echo "boot ${22}"
iptables-save | sed -e '/^#/d' -e 's/ *\[[0-9]*:[0-9]*\]$//'
ip -4 -o address | sed 's/\\.*//'
for link in lo cbr0 eth0; do ip -o link show "$link" 2>/dev/null | sed 's/.*\(mtu [0-9]*\).*/\1/'
done
ip -4 route show table all
cat /proc/sys/net/ipv4/ip_forward
ls /etc/labkit
for pod in $(ls /run/netns 2>/dev/null); do
    { ip -n "$pod" -4 -o address | sed 's/\\.*//'; ip -n "$pod" -4 route; } | sed "s/^/pod $pod /"
done
"""


def look(lab: Lab) -> Look:
    """Read all nodes and the API server."""
    names = [node.name for node in lab.spec.cluster]
    said = lab.pool.map(names, lambda node: node.script(_SCRIPT, record=False).stdout)
    lines = {name: tuple(map(str.rstrip, text.splitlines())) for name, text in said.items()}
    return {**lines, API: tuple(_objects(lab))}


def differences(
    before: Look, after: Look, redraws: Sequence[fault.Redrawn] = ()
) -> tuple[str, ...]:
    """What is not as it was, place by place: `node1: -the line before`, `node1: +the line now`."""
    return tuple(
        f"{place}: {line}"
        for place, lines in before.items()
        if _is_same_life(lines, after.get(place, ()))
        for line in _diff(_tidy(lines, redraws), _tidy(after.get(place, ()), redraws))
    )


def _is_same_life(before: Sequence[str], after: Sequence[str]) -> bool:
    """False for a node that was started anew."""
    boots = [next((line for line in one if line.startswith(_BOOT)), "") for one in (before, after)]
    return boots[0] == boots[1]


def _diff(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for line in difflib.unified_diff(before, after, lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def _tidy(lines: Sequence[str], redraws: Sequence[fault.Redrawn]) -> list[str]:
    """Leave out what may be another one afterwards."""
    if "pods" in redraws:
        lines = [line for line in lines if not line.startswith(_POD)]
    if "ports" in redraws:
        lines = _name_ports(lines)
    return list(lines)


#: A rule that turns packets to a proxy port, and whose it is.
_TURNS = re.compile(
    r'^-A KUBE-.*--comment "?([^" ]+).*(?:--to-ports |--to-destination [\d.]+:)(\d+)$', re.MULTILINE
)


def _name_ports(lines: Iterable[str]) -> list[str]:
    """Write the Service instead of its proxy port. A proxy that starts anew may order them anew."""
    text = "\n".join(lines)
    owners = {port: name for name, port in _TURNS.findall(text)}
    for port, name in owners.items():
        text = re.sub(rf"(--to-ports |--dport |[\d.]:){port}\b", rf"\1<port of {name}>", text)
    return sorted(text.split("\n"), key=lambda line: line if line.startswith("-A KUBE-") else "")


def _objects(lab: Lab) -> Iterator[str]:
    client = lab.api.client
    for kind, essence in (
        (resources.SERVICES, _service),
        (resources.ENDPOINTS, _endpoints),
        (resources.PODS, _pod),
    ):
        for obj in client.list(kind, facts.NAMESPACE)["items"]:
            told = json.dumps(essence(obj), sort_keys=True)
            yield f"{kind.singular} {obj['metadata']['name']} {told}"


def _service(obj: resources.Object) -> Any:
    return obj["spec"]


def _endpoints(obj: resources.Object) -> Any:
    subsets = obj.get("subsets") or ()
    ready = [_whom(each) for subset in subsets for each in subset.get("addresses") or ()]
    ports = [port["port"] for subset in subsets for port in subset.get("ports") or ()]
    return {"ready": sorted(ready), "ports": sorted(ports)}


def _whom(address: Mapping[str, Any]) -> str:
    return str((address.get("targetRef") or {}).get("name") or address["ip"])


def _pod(obj: resources.Object) -> Any:
    containers = [
        {key: each.get(key) for key in ("name", "image", "readinessProbe")}
        for each in obj["spec"]["containers"]
    ]
    labels = obj["metadata"].get("labels")
    return {"labels": labels, "node": obj["spec"].get("nodeName"), "containers": containers}
