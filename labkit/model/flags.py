"""kube-proxy's flags as data, and two of our own: `--node-ip` and `--drain-timeout`.

The agent makes its command line of them, the lab file offers those that nobody else sets, and the
reference lists all. What a value may look like is the agent's to say: `labkit.agent.flags`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """`set_by`: where its value comes from in a lab; empty: a person may set it."""

    name: str
    default: str
    meaning: str
    set_by: str = ""


FLAGS = (
    Flag(
        "kubeconfig",
        "",
        "where the API server is, and who we are",
        set_by="labkit writes it for every node",
    ),
    Flag(
        "hostname-override",
        "",
        "this node's name, instead of its host name",
        set_by="it is the node's name",
    ),
    Flag("bind-address", "0.0.0.0", "the address that proxy ports are opened at"),
    Flag(
        "node-ip",
        "",
        "the address that stands for this node in DNAT rules; if empty, the source address of the "
        "default route",
        set_by="it is the node's address",
    ),
    Flag(
        "proxy-port-range",
        "",
        "ports to proxy from, as 40000-41000 or 40000+1000; any port if empty",
    ),
    Flag("proxy-mode", "userspace", "the one there is", set_by="say `mode` under [proxy]"),
    Flag(
        "cluster-cidr",
        "",
        "the network of all pods: the journal tells by it whether a client is one",
        set_by="it is the network of all pods",
    ),
    Flag(
        "iptables-sync-period",
        "30s",
        "how long rules that somebody else changed may stay so",
    ),
    Flag(
        "iptables-min-sync-period",
        "1s",
        "the shortest time between syncs, after a burst of two",
    ),
    Flag("udp-timeout", "250ms", "a UDP client that was silent for so long is balanced anew"),
    Flag(
        "drain-timeout",
        "3s",
        "how long open connections may go on after SIGTERM; a second one ends them",
    ),
    Flag(
        "config-sync-period",
        "15m",
        "accepted and not needed: nothing that the API server said is ever forgotten",
    ),
    Flag("healthz-bind-address", "0.0.0.0:10256", "where /healthz is served"),
    Flag(
        "metrics-bind-address",
        "127.0.0.1:10249",
        "where /metrics, /proxyMode and, over loopback, /debug are served",
    ),
    Flag("v", "0", "2 and above log every connection"),
    Flag(
        "cleanup",
        "false",
        "remove every rule and chain of kube-proxy's userspace mode, and exit",
        set_by="it would end the agent",
    ),
)
