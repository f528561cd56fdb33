"""Rolling updates, as arithmetic: from the ReplicaSets that there are to the next step.

A Deployment has one ReplicaSet for each template that it ever had. The new one grows and the old
ones shrink, within two bounds: never more pods in all than `replicas + maxSurge`, never fewer that
are available than `replicas - maxUnavailable`. Each step changes what can be changed at once; the
next one is decided when the pods have followed.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence

from labkit.apiserver import conditions, timestamps
from labkit.model import resources

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
#: What a ReplicaSet was made for: its Deployment's replicas then, without and with the surge.
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
#: As in generated names: nothing that could be read as a word.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10


def template_hash(template: resources.Object, collisions: int = 0) -> str:
    """The name of a template: the same template, the same name."""
    text = json.dumps([template, collisions], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = []
    for _ in range(_HASH_LENGTH):
        number, index = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[index])
    return "".join(letters)


def template_of(replica_set: resources.Object) -> resources.Object:
    """The template as the Deployment had it: without the label that tells its pods apart."""
    template: resources.Object = copy.deepcopy(replica_set["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def find_new(
    deployment: resources.Object, sets: Sequence[resources.Object]
) -> resources.Object | None:
    """The ReplicaSet of the present template: a rollback finds an old one again."""
    wanted = deployment["spec"]["template"]
    same = [found for found in sets if template_of(found) == wanted]
    return min(same, key=lambda found: int(found["metadata"]["resourceVersion"]), default=None)


def revision_of(obj: resources.Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, "0"))


def limits(deployment: resources.Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers. A surge is rounded up, the other down."""
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", 0), spec["replicas"], up=True)
    unavailable = _share(rolling.get("maxUnavailable", 0), spec["replicas"], up=False)
    # With neither, nothing could ever move.
    return surge, min(unavailable or (0 if surge else 1), spec["replicas"])


def _share(value: int | str, whole: int, *, up: bool) -> int:
    """An absolute number, or a percentage of the replicas.

    >>> _share("25%", 3, up=True), _share("25%", 3, up=False), _share(2, 3, up=True)
    (1, 0, 2)
    """
    if isinstance(value, int):
        return value
    return (int(value.rstrip("%")) * whole + (99 if up else 0)) // 100


def replicas_of(replica_set: resources.Object) -> int:
    return int(replica_set["spec"]["replicas"])


def count(sets: Sequence[resources.Object], field: str) -> int:
    """The sum of one number of their statuses."""
    return sum(int(found.get("status", {}).get(field, 0)) for found in sets)


def plan_new(deployment: resources.Object, now: int, old: int) -> int:
    """How many replicas the new ReplicaSet gets, that has `now` while the old ones have `old`."""
    wanted = int(deployment["spec"]["replicas"])
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return wanted if old == 0 else now
    room = wanted + limits(deployment)[0] - now - old
    return min(now + max(room, 0), wanted)


def plan_old(
    deployment: resources.Object, new: resources.Object, old: Sequence[resources.Object]
) -> dict[str, int]:
    """The replicas of those old ReplicaSets that shrink, by name: first what is not available."""
    numbers = {found["metadata"]["name"]: replicas_of(found) for found in old}
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return dict.fromkeys((name for name, number in numbers.items() if number), 0)
    least = deployment["spec"]["replicas"] - limits(deployment)[1]
    new_missing = replicas_of(new) - count([new], "availableReplicas")
    room = replicas_of(new) + sum(numbers.values()) - least - new_missing
    planned = dict(numbers)
    for found in old:
        name = found["metadata"]["name"]
        ill = min(planned[name] - count([found], "availableReplicas"), room)
        if ill > 0:
            planned[name] -= ill
            room -= ill
    spare = min(count([new, *old], "availableReplicas") - least, room)
    for name, number in planned.items():
        less = min(number, max(spare, 0))
        planned[name] -= less
        spare -= less
    return {name: number for name, number in planned.items() if number != numbers[name]}


def plan_scale(deployment: resources.Object, sets: Sequence[resources.Object]) -> dict[str, int]:
    """The replicas of those ReplicaSets that change when the Deployment itself is scaled, by name.

    With one that has replicas it is that one. In the middle of a rollout each gets its share: so
    the risk that a half-finished rollout takes stays what it was.
    """
    active = [found for found in sets if replicas_of(found)]
    if len(active) <= 1:
        only = active or list(sets[-1:])
        wanted = int(deployment["spec"]["replicas"])
        return {each["metadata"]["name"]: wanted for each in only if replicas_of(each) != wanted}
    rolling = deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    return _plan_shares(deployment, active) if rolling else {}


def is_scaled(deployment: resources.Object, sets: Sequence[resources.Object]) -> bool:
    """True when the number of replicas is another than the ReplicaSets were made for."""
    wanted = str(deployment["spec"]["replicas"])
    noted = (_note(found, DESIRED) for found in sets if replicas_of(found))
    return any(number not in ("", wanted) for number in noted)


def _plan_shares(
    deployment: resources.Object, active: Sequence[resources.Object]
) -> dict[str, int]:
    """Share what is allowed more, or less, in proportion; what rounding leaves goes to the first.

    The largest comes first, and of equals the newest when there is more, the oldest when less.
    """
    total, wanted = sum(map(replicas_of, active)), int(deployment["spec"]["replicas"])
    allowed = wanted + limits(deployment)[0] if wanted else 0
    change = allowed - total
    newest = list(active[::-1]) if change > 0 else list(active)
    ordered = sorted(newest, key=replicas_of, reverse=True)
    planned, rest = {}, change
    for found in ordered:
        held = replicas_of(found)
        before = int(_note(found, MAXIMUM) or total)
        share = _round(held * allowed, before) - held
        share = max(min(share, rest), 0) if change > 0 else min(max(share, rest), 0)
        planned[found["metadata"]["name"]] = held + share
        rest -= share
    for name, number in planned.items():
        step = max(rest, -number)
        planned[name] += step
        rest -= step
    numbers = {found["metadata"]["name"]: replicas_of(found) for found in active}
    return {name: number for name, number in planned.items() if number != numbers[name]}


def _note(found: resources.Object, name: str) -> str:
    return str((found["metadata"].get("annotations") or {}).get(name, ""))


def _round(number: int, by: int) -> int:
    """Divide, and round halves up."""
    return (2 * number + by) // (2 * by)


# --- status --------------------------------------------------------------------------------------


def plan_status(
    deployment: resources.Object,
    new: resources.Object | None,
    sets: Sequence[resources.Object],
    now: float,
) -> resources.Object:
    """What the Deployment says of itself."""
    held = deployment.get("status", {})
    total, available = count(sets, "replicas"), count(sets, "availableReplicas")
    numbers = {
        "replicas": total,
        "updatedReplicas": count([new], "replicas") if new else 0,
        "readyReplicas": count(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(map(replicas_of, sets)) - available, 0),
        "collisionCount": held.get("collisionCount", 0),
    }
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **{field: number for field, number in numbers.items() if number},
        "conditions": copy.deepcopy(held.get("conditions", [])),
    }
    planned = {**deployment, "status": status}
    _set_available(planned, available, timestamps.render(now))
    _set_progressing(planned, held, new, now)
    return status


def is_complete(deployment: resources.Object) -> bool:
    """Every replica is of the new template and available, and no other is left."""
    state, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    fields = ("replicas", "updatedReplicas", "availableReplicas")
    return all(state.get(field, 0) == wanted for field in fields)


def _set_available(planned: resources.Object, available: int, now: str) -> None:
    enough = available >= planned["spec"]["replicas"] - limits(planned)[1]
    _set_condition(
        planned,
        "Available",
        "True" if enough else "False",
        f"MinimumReplicas{'Available' if enough else 'Unavailable'}",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        now,
    )


def _set_progressing(
    planned: resources.Object,
    held: resources.Object,
    new: resources.Object | None,
    now: float,
) -> None:
    """True while it moves and when it has arrived; False when nothing moved for too long."""
    moment = timestamps.render(now)
    if planned["spec"].get("paused") or new is None:
        words = ("Unknown", "DeploymentPaused", "Deployment is paused")
        return _set_condition(planned, "Progressing", *words, moment)
    name = f'ReplicaSet "{new["metadata"]["name"]}"'
    current = conditions.find_condition(planned, "Progressing")
    state = planned["status"]
    arrived = current.get("reason") == "NewReplicaSetAvailable" and name in current["message"]
    if is_complete(planned):
        words = ("True", "NewReplicaSetAvailable", f"{name} has successfully progressed.")
    elif arrived and state.get("replicas", 0) == state.get("updatedReplicas", 0):
        return None
    elif _has_moved(held, state) or not _names(current, name):
        words = ("True", "ReplicaSetUpdated", f"{name} is progressing.")
        return _set_condition(planned, "Progressing", *words, moment, moved=True)
    elif now >= deadline_of(planned):
        words = ("False", "ProgressDeadlineExceeded", f"{name} has timed out progressing.")
    else:
        return None
    return _set_condition(planned, "Progressing", *words, moment)


def _names(condition: resources.Object, name: str) -> bool:
    return name in str(condition.get("message", ""))


def _has_moved(held: resources.Object, state: resources.Object) -> bool:
    def number(status: resources.Object, field: str) -> int:
        return int(status.get(field, 0))

    def old(status: resources.Object) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    more = any(number(state, field) > number(held, field) for field in grown)
    return more or old(state) < old(held)


def deadline_of(deployment: resources.Object) -> float:
    """When a Deployment that does not move is given up."""
    found = conditions.find_condition(deployment, "Progressing")
    since = timestamps.parse(found["lastUpdateTime"]) if found else 0.0
    return since + float(deployment["spec"]["progressDeadlineSeconds"])


def _set_condition(
    obj: resources.Object,
    name: str,
    value: str,
    reason: str,
    message: str,
    now: str,
    *,
    moved: bool = False,
) -> None:
    """`lastUpdateTime` is when something last moved."""
    old = conditions.find_condition(obj, name)
    same = (old.get("status"), old.get("reason"), old.get("message")) == (value, reason, message)
    if same and not moved:
        return
    conditions.set_condition(obj, name, value, now=now, reason=reason, message=message)
    obj["status"]["conditions"][-1]["lastUpdateTime"] = now
