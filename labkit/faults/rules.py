"""Faults in the rules of one node.

kube-proxy looks after its own rules: what is missing in its chains it writes again, at the latest
when its sync period of 30 s is over. What others put ahead of its jumps is theirs, and stays. So a
fault that lasts is somebody else's rule, or somebody else who takes kube-proxy's away again and
again: a firewall that thinks the table is its own.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from labkit import errors
from labkit.faults import facts
from labkit.faults.fault import Ask, Change, Fault, Step, shell
from labkit.inspection import scripts
from labkit.model import portals, rules

#: Nobody listens on the discard port.
DEAD_PORT = 9
_GONE = 'while "$@" -C {0} 2>/dev/null; do "$@" -D {0}; done'
#: Ends the occupant, if the process with its number still is that one.
END_OCCUPANT = """\
read -r pid ticks 2>/dev/null </run/labkit/fault.pid || exit 0
set -- $(cat "/proc/$pid/stat" 2>/dev/null)
if [ "${22:-}" = "$ticks" ]; then kill -s KILL -- "-$pid"; fi
rm -f /run/labkit/fault.pid
"""


def occupy(node: str, *words: str) -> Step:
    """Start a program on the node that stays: see `occupant`."""
    return Step(node, scripts.argv(Path(__file__).with_name("occupant.py"), *words))


def _iptables(table: str) -> tuple[str, ...]:
    return ("iptables", "-w", "5", "-t", table)


def _first(f: facts.Facts, table: str, rule: rules.Rule, *asks: Ask) -> Change:
    """Somebody else's rule, ahead of everything in a built-in chain."""
    words = shlex.split(rule.spec)
    do = Step(f.node.name, (*_iptables(table), "-I", rule.chain, "1", *words))
    return Change((do,), (remove(f.node.name, table, rule),), asks)


def remove(node: str, table: str, rule: rules.Rule) -> Step:
    """Remove a rule, and the same one again if it is there twice."""
    spec = f"{rule.chain} {shlex.join(shlex.split(rule.spec))}"
    return shell(node, f"set -- {shlex.join(_iptables(table))}; {_GONE.format(spec)}")


def from_outside(f: facts.Facts) -> Ask:
    return Ask(f.outside, f.node_url)


def from_host(f: facts.Facts) -> Ask:
    return Ask(f.node.name, f.cluster_url)


def from_pod(f: facts.Facts) -> Ask:
    return Ask(f.node.name, f.cluster_url, f.own_pod.netns)


def to_own_pod(f: facts.Facts, *, body: int = 0) -> Ask:
    return Ask(f.neighbour.name, f.pod_url(f.own_pod), body=body)


def _missing_jump(f: facts.Facts) -> Change:
    chain = portals.chain("KUBE-NODEPORT-CONTAINER")
    assert chain
    jump = chain.jump
    standing = [rule.spec for rule in f.rules.rules("nat", jump.chain)]
    if jump.spec not in standing:
        raise errors.UsageError(f"kube-proxy's rules are not on {f.node.name}: nothing is to miss")
    words = shlex.split(jump.spec)
    place = str(standing.index(jump.spec) + 1)
    put = (
        'chain=$1 place=$2; shift 2; iptables -w 5 -t nat -C "$chain" "$@" 2>/dev/null '
        '|| iptables -w 5 -t nat -I "$chain" "$place" "$@" 2>/dev/null '
        '|| iptables -w 5 -t nat -A "$chain" "$@"'
    )
    return Change(
        do=(occupy(f.node.name, "rival", "nat", jump.chain, *words),),
        undo=(
            shell(f.node.name, END_OCCUPANT),
            shell(f.node.name, put, jump.chain, place, *words),
        ),
        asks=(from_outside(f),),
    )


def _flushed_chain(f: facts.Facts) -> Change:
    chain = "KUBE-PORTALS-CONTAINER"
    kept = [rule.text for rule in f.rules.rules("nat", chain)]
    batch = "\n".join(("*nat", *kept, "COMMIT\n"))
    put = 'iptables -w 5 -t nat -S "$1" | grep -q "^-A" || exec iptables-restore -w 5 --noflush'
    return Change(
        do=(occupy(f.node.name, "rival", "nat", chain),),
        undo=(
            shell(f.node.name, END_OCCUPANT),
            shell(f.node.name, put, chain, stdin=batch),
        ),
        asks=(from_pod(f),),
    )


def _jump_order(f: facts.Facts) -> Change:
    said = rules.quote("no NAT for internal networks")
    spec = f"-d {f.lab.service_network} -m comment --comment {said} -j ACCEPT"
    return _first(f, "nat", rules.Rule("OUTPUT", spec), from_host(f))


def _stale_mode(f: facts.Facts) -> Change:
    service, endpoint = "KUBE-SVC-ZXJ3KSWPNZTWBQGL", "KUBE-SEP-6K2KAUY5IGKDLCXL"
    chains = ("KUBE-SERVICES", service, endpoint)
    jump = f"-m comment --comment {rules.quote('kubernetes service portals')} -j KUBE-SERVICES"
    name = rules.quote("default/app1")
    said = rules.quote("default/app1 cluster IP")
    portal = f"-d {f.cluster_ip}/32 -p tcp -m comment --comment {said}"
    gone = f"{f.spare_address()}:{f.port['targetPort']}"
    dnat = f"-p tcp -m comment --comment {name} -m tcp -j DNAT --to-destination {gone}"
    batch = "\n".join(
        (
            "*nat",
            *(f":{chain} - [0:0]" for chain in chains),
            f"-A KUBE-SERVICES {portal} -m tcp --dport {f.port['port']} -j {service}",
            f"-A {service} -m comment --comment {name} -j {endpoint}",
            f"-A {endpoint} {dnat}",
            f"-I PREROUTING 1 {jump}",
            f"-I OUTPUT 1 {jump}",
            "COMMIT\n",
        )
    )
    node = f.node.name
    empty = 'for chain in "$@"; do iptables -w 5 -t nat -F "$chain" 2>/dev/null; done\n'
    away = 'for chain in "$@"; do iptables -w 5 -t nat -X "$chain" 2>/dev/null; done; true'
    return Change(
        do=(Step(node, ("iptables-restore", "-w", "5", "--noflush"), batch),),
        undo=(
            remove(node, "nat", rules.Rule("PREROUTING", jump)),
            remove(node, "nat", rules.Rule("OUTPUT", jump)),
            shell(node, empty + away, *chains),
        ),
        asks=(from_host(f),),
    )


def _dead_redirect(f: facts.Facts) -> Change:
    dial = f"-p tcp -m addrtype --dst-type LOCAL -m tcp --dport {f.node_port}"
    rule = rules.Rule("PREROUTING", f"{dial} -j REDIRECT --to-ports {DEAD_PORT}")
    return _first(f, "nat", rule, from_outside(f))


def _dead_dnat(f: facts.Facts) -> Change:
    dial = f"-d {f.cluster_ip}/32 -p tcp -m tcp --dport {f.port['port']}"
    to = f"-j DNAT --to-destination {f.node.address}:{DEAD_PORT}"
    return _first(f, "nat", rules.Rule("OUTPUT", f"{dial} {to}"), from_host(f))


_SYN = "-m tcp --tcp-flags FIN,SYN,RST,ACK SYN"


def _input_drop(f: facts.Facts) -> Change:
    rule = rules.Rule("INPUT", f"-i cbr0 -p tcp {_SYN} -j DROP")
    return _first(f, "filter", rule, from_pod(f))


def _forward_drop(f: facts.Facts) -> Change:
    rule = rules.Rule("FORWARD", "! -i cbr0 -o cbr0 -p tcp -j DROP")
    return _first(f, "filter", rule, to_own_pod(f))


def _output_drop(f: facts.Facts) -> Change:
    to = f"-d {f.lab.pod_network} -p tcp {_SYN} -m tcp --dport {f.port['targetPort']}"
    return _first(f, "filter", rules.Rule("OUTPUT", f"{to} -j DROP"), from_host(f))


FAULTS = (
    Fault(
        id="missing-jump",
        layer="rules",
        title="The jump to KUBE-NODEPORT-CONTAINER is missing in PREROUTING",
        symptom="Nobody outside reaches the node port of this node; those of others answer.",
        cause="Another program takes the jump out whenever kube-proxy has put it in, as a firewall "
        "does that is told to keep the table as it knows it. The chain is there with its rule, "
        "which counts nothing: no packet comes to it.",
        plan=_missing_jump,
    ),
    Fault(
        id="flushed-chain",
        layer="rules",
        title="KUBE-PORTALS-CONTAINER is empty",
        symptom="Pods of this node do not reach the clusterIP; the node itself does.",
        cause="Another program empties the chain whenever kube-proxy has filled it. kube-proxy "
        "mends at once only what is gone altogether, and the rest when its sync period is over.",
        plan=_flushed_chain,
    ),
    Fault(
        id="jump-order",
        layer="rules",
        title="An ACCEPT stands ahead of kube-proxy's jumps in OUTPUT of nat",
        symptom="Processes of this node do not reach the clusterIP; its pods do.",
        cause="A rule that spares internal networks from NAT was put first. In nat, ACCEPT ends "
        "the walk: the jump below is never reached. The order of rules is part of what they mean.",
        plan=_jump_order,
    ),
    Fault(
        id="stale-mode",
        layer="rules",
        title="Rules of iptables mode have stayed, and lead to a pod that is long gone",
        symptom="On this node the clusterIP leads nowhere; the node port answers.",
        cause="The node once ran kube-proxy in iptables mode, and nobody ran its --cleanup. "
        "KUBE-SERVICES stands ahead of the userspace chains and catches the packets first.",
        plan=_stale_mode,
    ),
    Fault(
        id="dead-redirect",
        layer="rules",
        title="A rule ahead of kube-proxy's turns the nodePort to a port where nobody listens",
        symptom="Requests from outside to this node's port are refused at once.",
        cause="A forwarding that somebody once set up for another program, and forgot. Its "
        "counter moves, and kube-proxy's does not.",
        plan=_dead_redirect,
    ),
    Fault(
        id="dead-dnat",
        layer="rules",
        title="A DNAT in OUTPUT turns the clusterIP to a port where nobody listens",
        symptom="Processes of this node are refused at the clusterIP; pods and outside are not.",
        cause="A workaround for one machine, forgotten there. OUTPUT concerns only what the node "
        "itself sends.",
        plan=_dead_dnat,
    ),
    Fault(
        id="input-drop",
        layer="rules",
        title="INPUT drops what pods send to processes of their node",
        symptom="Pods of this node wait in vain at the clusterIP; all others are answered.",
        cause="A firewall that protects the node from its pods. In userspace mode each request of "
        "a pod goes to a process of the node, the proxy, and so through INPUT.",
        plan=_input_drop,
    ),
    Fault(
        id="forward-drop",
        layer="rules",
        title="FORWARD drops what comes from other machines for the pods of this node",
        symptom="Pods of this node are silent for other nodes, which then try another pod.",
        cause="The policy of a firewall, or of another container program, for what it does not "
        "know. A Service hides it: the proxy asks another pod after a short wait.",
        plan=_forward_drop,
    ),
    Fault(
        id="output-drop",
        layer="rules",
        title="OUTPUT drops what the node sends to pods",
        symptom="Whoever asks by this node is connected, and then waits in vain.",
        cause="A firewall for what leaves the machine. The client reaches the proxy; the proxy's "
        "own, second connection never comes about.",
        plan=_output_drop,
    ),
)
