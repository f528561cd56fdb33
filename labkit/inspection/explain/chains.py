"""What kube-proxy's own chains are for, by name or by the beginning of the name.

In userspace mode the chains are lists of portals. In iptables mode they are a tree: one chain
lists the Services, each port of a Service has a chain that chooses, each endpoint has one that
rewrites.
"""

from __future__ import annotations

from labkit.model import portals

#: What a bit means that kube-proxy puts on packets, for itself, further down.
MARKS = {
    "0x4000": ": it will leave with the node's own address (masquerade)",
    "0x8000": ": it will be dropped",
}

#: The chains that the kernel calls by itself.
BUILT_IN = {
    "PREROUTING": "every packet that arrives, before it is decided where it goes",
    "INPUT": "packets for a process of this machine",
    "FORWARD": "packets that only pass through this machine",
    "OUTPUT": "packets that a process of this machine sends",
    "POSTROUTING": "every packet that is about to leave",
}

#: Chains of iptables mode and of the kubelet, by name; and by how the name begins.
OTHERS = {
    "KUBE-SERVICES": "kube-proxy's list of Services (iptables mode)",
    "KUBE-EXTERNAL-SERVICES": "Services asked for from outside that have no endpoints",
    "KUBE-NODEPORTS": "kube-proxy's list of nodePorts (iptables mode)",
    "KUBE-POSTROUTING": "where marked packets get the node's address as their source",
    "KUBE-MARK-MASQ": "puts on the mark for: leave with the node's own address",
    "KUBE-MARK-DROP": "puts on the mark for: be dropped",
    "KUBE-FORWARD": "lets through what kube-proxy has rewritten",
    "KUBE-FIREWALL": "drops what was marked for it",
    "KUBE-PROXY-CANARY": "empty: while it exists, nobody has flushed the rules",
    "KUBE-KUBELET-CANARY": "empty: while it exists, nobody has flushed the kubelet's rules",
    "KUBE-PROXY-FIREWALL": "drops what a load balancer's source ranges do not allow",
}
BEGINNINGS = {
    "KUBE-SVC-": "one port of a Service: chooses an endpoint",
    "KUBE-SVL-": "one port of a Service: chooses among this node's own endpoints",
    "KUBE-SEP-": "one endpoint: rewrites the destination to a pod",
    "KUBE-FW-": "one port of a Service at its load balancer's address",
    "KUBE-XLB-": "one port of a Service from outside: only this node's own endpoints",
    "KUBE-EXT-": "one port of a Service from outside",
}


def explain_chain(name: str) -> str:
    """What a chain is for; empty for one that nobody told us about."""
    if known := portals.chain(name):
        return known.reached_by[0].lower() + known.reached_by[1:].rstrip(".")
    if found := OTHERS.get(name) or BUILT_IN.get(name):
        return found
    return next((text for start, text in BEGINNINGS.items() if name.startswith(start)), "")
