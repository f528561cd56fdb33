"""Taints and tolerations: a node says whom it does not want, a pod says what it can bear.

NoSchedule         no pod comes that does not tolerate it
PreferNoSchedule   none comes while there is another node
NoExecute          none comes, and those that are there have to go: at once, or after the
                   seconds for which they tolerate it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labkit.model import resources


def tolerations_of(pod: resources.Object, taint: resources.Object) -> list[resources.Object]:
    """Those of the pod's tolerations that cover the taint."""
    return [item for item in pod["spec"].get("tolerations") or [] if _covers(item, taint)]


def untolerated(
    pod: resources.Object, node: resources.Object, effects: Sequence[str]
) -> Iterator[resources.Object]:
    """The node's taints with one of the effects that the pod does not tolerate."""
    for taint in node.get("spec", {}).get("taints") or []:
        if taint.get("effect") in effects and not tolerations_of(pod, taint):
            yield taint


def stay_s(pod: resources.Object, node: resources.Object) -> float | None:
    """For how many seconds the pod may stay on its node, that has its taints now; None: for ever.

    >>> node = {"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}}
    >>> bears = {"key": "a", "operator": "Exists", "tolerationSeconds": 300}
    >>> stay_s({"spec": {"tolerations": [bears]}}, node), stay_s({"spec": {}}, node)
    (300.0, 0.0)
    """
    if any(untolerated(pod, node, ("NoExecute",))):
        return 0.0
    taints = node.get("spec", {}).get("taints") or []
    executing = [taint for taint in taints if taint.get("effect") == "NoExecute"]
    used = [item for taint in executing for item in tolerations_of(pod, taint)]
    limits = [item["tolerationSeconds"] for item in used if "tolerationSeconds" in item]
    return float(max(min(limits), 0)) if limits else None


def _covers(toleration: resources.Object, taint: resources.Object) -> bool:
    """Empty means any: an empty effect all effects, an empty key (with Exists) all keys."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or toleration.get("value", "") == taint.get("value", "")
