"""Values as JSON: Kubernetes' spelling of names, and a schema with a version in front.

A field that is added keeps the version; one that is renamed or removed raises it.
"""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from typing import Any

#: What each schema holds, and its version. The fields are those of the dataclass, in camelCase.
SCHEMAS = {
    "service-inspection": (1, "a Service: fields, links, endpoints, rules and sockets by node"),
    "rules-inspection": (1, "Services as the rules of one node know them: doors, shares, tree"),
    "layer-inspection": (1, "one layer of each node: chains, rules, conntrack, sockets, ..."),
    "rule-explanation": (1, "a rule as text, as a command, and in words"),
    "ruleset-explanation": (1, "every rule of a set in words, by chain"),
    "probe": (1, "real requests: which rules moved on which node, who answered"),
    "trace": (1, "one real request: hops with the rules that matched, translations, verdict"),
    "event": (1, "one thing that happened: when, where, to what, and how"),
    "changes": (1, "what is different between two looks, fact by fact"),
}


def envelope(schema: str, version: int, value: Any) -> dict[str, Any]:
    """The JSON object of a dataclass, marked with what it is."""
    return {"schema": f"labkit.dev/{schema}", "version": version, **plain(value)}


def plain(value: Any) -> Any:
    """A value made of dataclasses, tuples and addresses in terms of JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {camel(field.name): plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    return value


def camel(name: str) -> str:
    """Spell a name as Kubernetes does.

    >>> camel("cluster_ip"), camel("proxy_port"), camel("pods")
    ('clusterIP', 'proxyPort', 'pods')
    """
    first, *rest = name.split("_")
    return first + "".join("IP" if word == "ip" else word.capitalize() for word in rest)
