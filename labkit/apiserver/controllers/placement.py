"""Where a pod goes, decided from objects alone.

First the nodes that cannot take the pod are left out, each for its first reason. Of those left the
one wins that it would rather have (PreferNoSchedule taints, preferred affinity); of equals the one
that runs the fewest pods of the same sort, and then the fewest at all. So the replicas of one
application spread over the nodes, which is what a lab on Services wants to show.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from labkit.apiserver import quantities, selectors
from labkit.apiserver.controllers import taints
from labkit.apiserver.kinds import pods
from labkit.model import resources

#: Reasons that another pod's end would remove; all others are the node's own.
_SHORT = ("Insufficient cpu", "Insufficient memory", "Too many pods")
_NO_HELP = "Preemption is not helpful for scheduling"
_NO_VICTIM = "No preemption victims found for incoming pod"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod goes; or, where `node` is empty, why it cannot go anywhere."""

    node: str = ""
    why: str = ""


@dataclass(slots=True)
class Load:
    """What runs on one node: how many pods, how many of the sort that is placed, what they need."""

    pods: int = 0
    alike: int = 0
    needs: Counter[str] = field(default_factory=Counter)


def plan_placement(
    pod: resources.Object,
    cluster: Sequence[resources.Object],
    others: Iterable[resources.Object],
) -> Placement:
    """Choose a node of the cluster for `pod`, given the other pods."""
    loads: Mapping[str, Load] = _weigh(pod, others)
    names = [node["metadata"]["name"] for node in cluster]
    refusals = {
        name: explain_refusal(pod, node, loads[name])
        for name, node in zip(names, cluster, strict=True)
    }
    possible = [node for node in cluster if not refusals[node["metadata"]["name"]]]
    if not possible:
        return Placement(why=_summarise(list(refusals.values())))

    def rank(node: resources.Object) -> tuple[int, int, int, str]:
        name = node["metadata"]["name"]
        return _dislike(pod, node), loads[name].alike, loads[name].pods, name

    return Placement(min(possible, key=rank)["metadata"]["name"])


def _weigh(pod: resources.Object, others: Iterable[resources.Object]) -> Mapping[str, Load]:
    loads: dict[str, Load] = defaultdict(Load)
    for other in others:
        node = other["spec"].get("nodeName")
        if node and not pods.is_finished(other):
            loads[node].pods += 1
            loads[node].alike += _alike(pod, other)
            loads[node].needs.update(_needs(other))
    return loads


def _needs(pod: resources.Object) -> Counter[str]:
    """What a pod's containers request, in thousandths."""
    total: Counter[str] = Counter()
    for container in pod["spec"].get("containers") or []:
        for name, text in (container.get("resources", {}).get("requests") or {}).items():
            total[name] += quantities.thousandths(text)
    return total


def _summarise(refusals: Sequence[str]) -> str:
    """`0/3 nodes are available: 1 node(s) ..., 2 node(s) ....`: Kubernetes' own sentence."""
    if not refusals:
        return "no nodes available to schedule pods"
    preemption = [_NO_VICTIM if why in _SHORT else _NO_HELP for why in refusals]
    return f"{_count(refusals)} preemption: {_count(preemption)}"


def _count(reasons: Sequence[str]) -> str:
    listed = ", ".join(sorted(f"{number} {why}" for why, number in Counter(reasons).items()))
    return f"0/{len(reasons)} nodes are available: {listed}."


def explain_refusal(pod: resources.Object, node: resources.Object, load: Load | None = None) -> str:
    """Why a node cannot take a pod; empty when it can."""
    unschedulable = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node.get("spec", {}).get("unschedulable") and not taints.tolerations_of(pod, unschedulable):
        return "node(s) were unschedulable"
    for taint in taints.untolerated(pod, node, ("NoSchedule", "NoExecute")):
        return f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value', '')}}}"
    if not _fits_affinity(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return _lack(pod, node, load or Load())


def _lack(pod: resources.Object, node: resources.Object, load: Load) -> str:
    """What the node has too little of. Who requests nothing needs nothing."""
    room = node.get("status", {}).get("allocatable") or {}
    if "pods" in room and load.pods >= int(room["pods"]):
        return "Too many pods"
    for name, number in sorted(_needs(pod).items()):
        if number > quantities.thousandths(room.get(name, "0")) - load.needs[name]:
            return f"Insufficient {name}"
    return ""


def _fits_affinity(pod: resources.Object, node: resources.Object) -> bool:
    spec, labels = pod["spec"], node["metadata"].get("labels")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = required.get("nodeSelectorTerms") or [] if required else None
    fits = selectors.equal_labels(spec.get("nodeSelector") or {}, labels)
    return fits and (terms is None or any(_fits_term(term, node) for term in terms))


def _fits_term(term: resources.Object, node: resources.Object) -> bool:
    """All of a term's expressions; a term without any fits no node."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    parts = [(item, labels) for item in term.get("matchExpressions") or []]
    parts += [(item, fields) for item in term.get("matchFields") or []]
    return bool(parts) and all(_fits_expression(item, values) for item, values in parts)


def _fits_expression(item: resources.Object, values: Mapping[str, str]) -> bool:
    operator, key, wanted = item.get("operator"), item.get("key", ""), item.get("values") or []
    if operator in ("Gt", "Lt"):
        number, limit = values.get(key, ""), wanted[0] if wanted else ""
        if not (number.isdecimal() and limit.isdecimal()):
            return False
        return int(number) > int(limit) if operator == "Gt" else int(number) < int(limit)
    return selectors.match_labels(selectors.read_selector({"matchExpressions": [item]}), values)


def _dislike(pod: resources.Object, node: resources.Object) -> int:
    """The smaller, the rather: taints to avoid count up, preferred affinities down."""
    avoided = sum(1 for _ in taints.untolerated(pod, node, ("PreferNoSchedule",)))
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    liked = sum(each["weight"] for each in preferred if _fits_term(each["preference"], node))
    return 100 * avoided - int(liked)


def _alike(pod: resources.Object, other: resources.Object) -> bool:
    """Of the same owner; or, without one, with the same labels."""
    meta, found = pod["metadata"], other["metadata"]
    if meta.get("namespace") != found.get("namespace"):
        return False
    owner = _owner(meta)
    return owner == _owner(found) if owner else meta.get("labels") == found.get("labels")


def _owner(meta: resources.Object) -> str:
    owners = meta.get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")
