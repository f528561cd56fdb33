"""The live lab against what a task asks for. Any way to the goal counts.

Each kind of check gives one of three: pass; not yet, with what was expected, what is, and where to
look; or cannot tell, where the lab itself does not answer. A check that may take its time is tried
again until it passes or its `within` has passed: for objects by watching the API server, else by
looking again, which is a request or a program run on a node, and so takes its own time.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit import errors, faults
from labkit.inspection.predict import asking
from labkit.lab import objects
from labkit.lessons import checkpoint, grammar
from labkit.lessons.results import Checked, State
from labkit.model import resources

if TYPE_CHECKING:
    from labkit.lab import Lab

#: So many lines of a program are told.
_TOLD = 3


def check(lab: Lab, one: grammar.Check, *, wait: bool = True) -> Checked:
    """Look once, or (with `wait`) until `within` seconds have passed."""
    expected, where = expect(one)
    deadline = time.monotonic() + (one.within if wait else 0.0)
    try:
        found = look(lab, one)
        while found and (left := deadline - time.monotonic()) > 0:
            _await_change(lab, one, left)
            found = look(lab, one)
    except errors.LabkitError as error:
        return Checked(one.id, "cannot tell", expected, str(error), error.hint or where)
    state: State = "not yet" if found else "pass"
    return Checked(one.id, state, expected, found, where)


def look(lab: Lab, one: grammar.Check) -> str:
    """One look at the lab: what is not as expected; nothing where all is.

    What a task has to make first is not there yet: that is a finding. Raises what the lab raises
    when it does not answer.
    """
    try:
        return _look(lab, one)
    except (errors.NotFound, errors.NothingMatched) as error:
        return str(error)


def _look(lab: Lab, one: grammar.Check) -> str:
    match one:
        case grammar.ObjectCheck():
            obj = _get(lab, one.object)
            return plan_difference(obj, one.holds) if obj else f"there is no {one.object}"
        case grammar.AbsentCheck():
            return f"{one.object} is there" if _get(lab, one.object) else ""
        case grammar.EndpointsCheck():
            return _endpoints(lab, one)
        case grammar.RequestCheck():
            return _request(lab, one)
        case grammar.NodeCheck():
            said = lab.exec(one.on, one.run)
            return judge_lines((said.stdout or said.stderr).strip().splitlines(), one)
        case grammar.FaultCheck():
            return faults.why_unsolved(lab)


def expect(one: grammar.Check) -> tuple[str, str]:
    """What a check wants to find, and where one can look for it oneself."""
    match one:
        case grammar.ObjectCheck():
            values = ", ".join(f"{path}: {value}" for path, value in one.holds.items())
            wanted = f"{one.object} with {values}" if values else f"{one.object} exists"
            return wanted, f"labkit get {one.object} -o yaml"
        case grammar.AbsentCheck():
            return f"no {one.object}", f"labkit get {one.object}"
        case grammar.EndpointsCheck():
            wanted = f"{one.count} ready endpoint{'' if one.count == 1 else 's'}"
            where = f"labkit get endpoints/{one.service}, labkit get pods"
            return f"{wanted} behind {one.service}", where
        case grammar.RequestCheck():
            by = f" by {one.pods} pods" if one.pods else ""
            return f"{'an' if one.answered else 'no'} answer{by}", _probe_line(one)
        case grammar.NodeCheck():
            return one.means, shlex.join(("labkit", "exec", one.on, "--", *one.run))
        case grammar.FaultCheck():
            wanted = "the hidden fault rightly named (node, layer, cause), and mended"
            return wanted, "labkit fault"


def plan_difference(obj: Mapping[str, Any], holds: Mapping[str, Any]) -> str:
    """Say which of the wanted values an object does not hold; nothing where it holds all.

    >>> plan_difference({"spec": {"ports": [{"port": 80}]}}, {"spec.ports.0.port": 8080})
    'spec.ports.0.port is 80'
    """
    wrong = [
        f"{path} is {'not set' if found is None else found}"
        for path, value in holds.items()
        if (found := _dig(obj, path.split("."))) != value
    ]
    return "; ".join(wrong)


def judge_lines(lines: Sequence[str], one: grammar.NodeCheck) -> str:
    """What is wrong with what a program printed: nothing, lines too many, or one that is missing.

    Few lines are told; of many only that none is the one.
    """
    matching = [line for line in lines if re.search(one.prints, line)]
    if bool(matching) == one.wanted:
        return ""
    told = matching or lines
    if len(told) > _TOLD and one.wanted:
        return f"{len(lines)} lines, and none that says so"
    return " / ".join(told[:_TOLD]) or "nothing was printed"


def _endpoints(lab: Lab, one: grammar.EndpointsCheck) -> str:
    obj = _get(lab, f"endpoints/{one.service}")
    subsets: Sequence[Mapping[str, Any]] = (obj or {}).get("subsets") or ()
    count = sum(len(each.get("addresses") or ()) for each in subsets)
    waiting = sum(len(each.get("notReadyAddresses") or ()) for each in subsets)
    more = f", and {waiting} that {'is' if waiting == 1 else 'are'} not ready" if waiting else ""
    return "" if count == one.count else f"{count}{more}"


def _probe_line(one: grammar.RequestCheck) -> str:
    sender = ("--from", one.sender) if one.sender else ()
    node = ("--node", one.node) if one.node else ()
    port = ("--port", one.port) if one.port else ()
    words = ("labkit", "probe", one.service, *sender, "--via", one.via, *port, *node)
    return shlex.join((*words, "--count", str(one.count)))


def _request(lab: Lab, one: grammar.RequestCheck) -> str:
    request = asking.Request(
        one.service, sender=one.sender, via=one.via, port=one.port, node=one.node
    )
    probe = lab.probe(request, count=one.count)
    answered = sum(each.requests for each in probe.answered)
    pods = len({each.pod for each in probe.answered})
    if one.answered and answered < one.count:
        reasons = "; ".join(each.error for each in probe.failed)
        return f"{answered} of {one.count} answered: {reasons}"
    if not one.answered and answered:
        return f"{answered} of {one.count} were answered"
    return f"answers by {pods} pod{'' if pods == 1 else 's'}" if pods < one.pods else ""


def _await_change(lab: Lab, one: grammar.Check, seconds: float) -> None:
    """Return when the API server has news that could matter, or the time is up."""
    if isinstance(one, grammar.ObjectCheck | grammar.AbsentCheck | grammar.EndpointsCheck):
        path = f"endpoints/{one.service}" if isinstance(one, grammar.EndpointsCheck) else one.object
        kind, _, name = path.partition("/")
        before = _get(lab, path)

        def lacks(obj: resources.Object | None) -> str:
            return "" if _version(obj) != _version(before) else "has not changed"

        try:
            lab.api.wait_for(
                objects.find_resource(kind),
                [name],
                lacks,
                namespace=checkpoint.NAMESPACE,
                timeout_s=seconds,
            )
        except errors.TimedOut:
            return


def _version(obj: resources.Object | None) -> str:
    return str(obj["metadata"]["resourceVersion"]) if obj else ""


def _get(lab: Lab, path: str) -> resources.Object | None:
    kind, _, name = path.partition("/")
    try:
        return lab.get(kind, name).objects[0]
    except errors.NotFound:
        return None


def _dig(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:
            return None
    return value
