"""What really happened, read out of what a cell has seen: the truth that a prediction meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labkit import errors
from labkit.inspection import answers, service
from labkit.inspection.probe import report
from labkit.model import words

OWN_CHAINS = "KUBE-"
#: Those that are names, of a chain or of who is who; the others are only words for what happened.
NAMES = frozenset({"chain", "chain_node", "pod_node", "client_seen"})


def chain(seen: Any) -> str:
    """The first of kube-proxy's nat chains that caught the request; `none`: no rule did."""
    caught = _caught(_probe(seen))
    return caught.chain if caught else "none"


def chain_node(seen: Any) -> str:
    """The machine whose rule caught it."""
    caught = _caught(_probe(seen))
    return caught.node if caught else "none"


def pods(seen: Any) -> str:
    """How many pods answered."""
    return str(len({one.pod for one in _probe(seen).answered}))


def pod_node(seen: Any) -> str:
    """The machine of the pod that answered most."""
    answered = _probe(seen).answered
    return answered[0].pod_node if answered else "none"


def client_seen(seen: Any) -> str:
    """Whom the pod took for its client: a machine, a pod, or an address nobody here has.

    A machine asks its own pods from the address of its bridge; it is the same machine.
    """
    answered = _probe(seen).answered
    if not answered:
        return "none"
    return (answered[0].seen_as or answered[0].seen_address).partition("'s ")[0]


def answered(seen: Any) -> str:
    """`all`, `some` or `none` of the requests."""
    probe = _probe(seen)
    count = sum(one.requests for one in probe.answered)
    return "all" if count == probe.count else "some" if count else "none"


def balance(seen: Any) -> str:
    """`even` where each pod answered as often as the others, to within one; `one`; `uneven`."""
    counts: dict[str, int] = {}
    for one in _probe(seen).answered:
        counts[one.pod] = counts.get(one.pod, 0) + one.requests
    if len(counts) <= 1:
        return "one" if counts else "none"
    return "even" if max(counts.values()) - min(counts.values()) <= 1 else "uneven"


def failure(seen: Any) -> str:
    """How a request without an answer ended: `refused`, `silence`, or `none` where all were."""
    failed = _probe(seen).failed
    if not failed:
        return "none"
    return "silence" if "timed out" in failed[0].error.lower() else "refused"


def endpoints(seen: Any) -> str:
    """How many ready endpoints the Service has."""
    return str(sum(one.ready for one in _inspection(seen).endpoints))


def proxy_ports(seen: Any) -> str:
    """`same` or `different`: the ports on which the nodes' proxies listen for the Service."""
    ports = {port.proxy_port for node in _inspection(seen).nodes for port in node.ports}
    return "same" if len(ports) == 1 else "different"


def nodes_with_rules(seen: Any) -> str:
    """On how many nodes the Service has rules."""
    return str(sum(any(port.rules for port in node.ports) for node in _inspection(seen).nodes))


def connection(seen: Any) -> str:
    """`goes on` or `ends`: a held connection, by the last that was asked over it."""
    if not isinstance(seen, answers.Answer):
        raise errors.UsageError(
            "this question is graded by an answer", hint="such as held.ask() after lab.hold(...)"
        )
    return "ends" if seen.error else "goes on"


TRUTHS: Mapping[str, Callable[[Any], str]] = {
    read.__name__: read
    for read in (
        chain, chain_node, pods, pod_node, client_seen, answered, balance, failure, endpoints,
        proxy_ports, nodes_with_rules, connection,
    )
}  # fmt: skip


def read(name: str, seen: Any) -> str:
    """Raises ConfigError for a truth that a lesson names and nobody can read."""
    if name not in TRUTHS:
        hint = words.suggest(name, TRUTHS)
        raise errors.ConfigError(f"there is no truth {name!r}", hint=hint)
    return TRUTHS[name](seen)


def _caught(probe: report.Probe) -> Any:
    own = (one for one in probe.moved if one.table == "nat" and one.chain.startswith(OWN_CHAINS))
    return next((one for one in own if f'"{probe.service}' in one.rule), None)


def _probe(seen: Any) -> report.Probe:
    if not isinstance(seen, report.Probe):
        raise errors.UsageError("this question is graded by a probe", hint="such as lab.probe(...)")
    return seen


def _inspection(seen: Any) -> service.ServiceInspection:
    if not isinstance(seen, service.ServiceInspection):
        raise errors.UsageError(
            "this question is graded by an inspection", hint="such as lab.inspect('app1')"
        )
    return seen
