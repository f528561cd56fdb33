"""Faults in what carries packets between the nodes and their pods. Rules and objects are as ever.

Two of them a namespace cannot have as a machine has them:

* how many connections may be tracked is one number for the whole kernel (nf_conntrack_max can only
  be written outside of namespaces), and it would be the learner's own machine that suffers. So the
  node gets a limit of its own, by the `connlimit` match, which counts in the same table; and a
  program fills it with connections that it holds.
* an address that two have is given to the node itself, and not to a second pod: which of two pods
  answers first is chance.
"""

from __future__ import annotations

from labkit.faults import facts
from labkit.faults.fault import Ask, Change, Fault, Step, shell
from labkit.faults.rules import (
    END_OCCUPANT,
    from_host,
    from_outside,
    occupy,
    remove,
    to_own_pod,
)
from labkit.model import rules

#: By these a node remains within reach: sshd, the API server, the kubelet's own server.
SPARED = "22,6443,10250"
MOST_CONNECTIONS = 32
_HOG_PORT = 7
_SMALL_MTU = 576
_BIG_REQUEST = 3000
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"


def _ip(node: str, *words: str) -> Step:
    return Step(node, ("ip", *words))


def _blackhole(f: facts.Facts) -> Change:
    node = f.node.name
    return Change(
        do=tuple(_ip(node, "route", "replace", "blackhole", f"{p.address}/32") for p in f.all_pods),
        undo=tuple(
            shell(node, f"ip route del blackhole {p.address}/32 2>/dev/null || true")
            for p in f.all_pods
        ),
        asks=(from_outside(f), from_host(f)),
    )


def _route_missing(f: facts.Facts) -> Change:
    pod = f.far_pods[0]
    home = f.lab.node(pod.node)
    there = f"{home.pod_network} via {home.address} proto 76"
    return Change(
        do=(_ip(f.node.name, "route", "del", str(home.pod_network), "proto", "76"),),
        undo=(shell(f.node.name, f"ip route replace {there}"),),
        asks=(Ask(f.node.name, f.pod_url(pod)),),
    )


def _forwarding_off(f: facts.Facts) -> Change:
    return Change(
        do=(shell(f.node.name, f"echo 0 >{_FORWARDING}"),),
        undo=(shell(f.node.name, f"echo 1 >{_FORWARDING}"),),
        asks=(to_own_pod(f),),
    )


def _conntrack_full(f: facts.Facts) -> Change:
    rule = rules.Rule(
        "INPUT",
        f"-p tcp -m multiport ! --dports {SPARED} -m tcp --tcp-flags FIN,SYN,RST,ACK SYN "
        f"-m connlimit --connlimit-above {MOST_CONNECTIONS} --connlimit-mask 0 --connlimit-saddr "
        "-j DROP",
    )
    node = f.node.name
    return Change(
        do=(
            Step(node, ("iptables", "-w", "5", "-I", rule.chain, "1", *rule.spec.split())),
            occupy(node, "hog", str(f.node.address), str(_HOG_PORT), str(2 * MOST_CONNECTIONS)),
        ),
        undo=(shell(node, END_OCCUPANT), remove(node, "filter", rule)),
        asks=(from_outside(f),),
    )


def _wrong_pod_address(f: facts.Facts) -> Change:
    pod, wrong = f.own_pod, f.spare_address()
    network = f.node.pod_network
    assert network
    bits, gateway = network.prefixlen, network[1]
    ip = f"ip -n {pod.netns}"
    way_out = f"{ip} route replace default via {gateway}"
    return Change(
        do=(
            shell(
                f.node.name,
                f"set -e; {ip} addr add {wrong}/{bits} dev eth0; "
                f"{ip} addr del {pod.address}/{bits} dev eth0; "
                # The second address of a network goes with the first: put it back.
                f"{ip} addr replace {wrong}/{bits} dev eth0; {way_out}",
            ),
        ),
        undo=(
            shell(
                f.node.name,
                f"{ip} addr del {wrong}/{bits} dev eth0 2>/dev/null; "
                f"{ip} addr replace {pod.address}/{bits} dev eth0; {way_out}",
            ),
        ),
        asks=(to_own_pod(f),),
    )


def _duplicate_address(f: facts.Facts) -> Change:
    pod = f.far_pods[0]
    node = f.node.name
    return Change(
        do=(_ip(node, "addr", "replace", f"{pod.address}/32", "dev", "lo"),),
        undo=(shell(node, f"ip addr del {pod.address}/32 dev lo 2>/dev/null || true"),),
        asks=(Ask(node, f.pod_url(pod)),),
    )


def _mtu(f: facts.Facts) -> Change:
    node = f.node.name
    silent = rules.Rule("OUTPUT", "-p icmp -m icmp --icmp-type 3/4 -j DROP")
    return Change(
        do=(
            _ip(node, "link", "set", "cbr0", "mtu", str(_SMALL_MTU)),
            Step(node, ("iptables", "-w", "5", "-I", silent.chain, "1", *silent.spec.split())),
        ),
        undo=(
            remove(node, "filter", silent),
            _ip(node, "link", "set", "cbr0", "mtu", "1500"),
        ),
        asks=(to_own_pod(f, body=_BIG_REQUEST),),
    )


FAULTS = (
    Fault(
        id="endpoint-blackholed",
        layer="network",
        title="Routes of kind blackhole swallow what this node sends to the pods",
        symptom="Whoever asks by this node gets nothing, from any pod; other nodes answer.",
        cause="A routing daemon or a person has blocked addresses, and pods have got these since. "
        "`ip route get POD` tells.",
        plan=_blackhole,
    ),
    Fault(
        id="route-missing",
        layer="network",
        title="The route to another node's pods is missing",
        symptom="From this node no pod of one other node can be reached; Services hide it.",
        cause="A network manager that started again and took the route for an old one of its own. "
        "Packets for those pods go by the default route, to a machine that knows nothing of them.",
        plan=_route_missing,
    ),
    Fault(
        id="ip-forward-off",
        layer="network",
        title="The node does not forward: net.ipv4.ip_forward is 0",
        symptom="The node itself is fine; its pods and the world do not reach each other.",
        cause="A hardening script, or /etc/sysctl.d read again. A node with pods is a router.",
        plan=_forwarding_off,
    ),
    Fault(
        id="conntrack-full",
        layer="network",
        title="The node tracks as many connections as it may: new ones are dropped",
        symptom="New connections to this node time out; those that are open go on.",
        cause="A program that opens connections and never closes them, or a limit that is too low. "
        "`conntrack -L` shows who has them. (Here: a limit of the node's own.)",
        plan=_conntrack_full,
    ),
    Fault(
        id="wrong-pod-address",
        layer="network",
        title="A pod has another address than the API says",
        symptom="One pod never answers, though it runs; Services hide it by asking another.",
        cause="Somebody has changed the address inside, or two network plug-ins have been at it. "
        "Compare `kubectl get pod -o wide` with `ip address` in the pod.",
        plan=_wrong_pod_address,
    ),
    Fault(
        id="duplicate-pod-address",
        layer="network",
        title="The node has given itself the address of another node's pod",
        symptom="From this node one pod refuses at once; from every other node it answers.",
        cause="An address that was taken by hand out of a range that is not one's own. The kernel "
        "keeps what is for its own addresses: `ip route get POD` says `local`.",
        plan=_duplicate_address,
    ),
    Fault(
        id="mtu",
        layer="network",
        title="Packets over 576 bytes do not fit through the bridge, and nobody is told",
        symptom="Small requests to this node's pods are answered; big ones hang.",
        cause="A tunnel or a bridge with a smaller MTU than its neighbours, behind a firewall that "
        "drops the ICMP message by which the sender would learn of it.",
        plan=_mtu,
    ),
)
