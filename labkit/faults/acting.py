"""Steps and requests, on a lab that runs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Sequence
from concurrent import futures
from typing import TYPE_CHECKING

from labkit import errors
from labkit.faults import facts, fault
from labkit.lab import api, objects
from labkit.model import resources

if TYPE_CHECKING:
    from labkit.lab import Lab

#: A whole lab answers in milliseconds; a machine that is busy may take longer. In a broken lab a
#: request that nobody refuses ends only when this is over.
PATIENT_S, IMPATIENT_S = 8.0, 2.0
#: Nobody announces what a program has noticed; who asks all the time takes the CPU that it needs.
AGAIN_S = 0.1
#: What an API request, or the end of a pod, may take.
TIMEOUT_S = 60.0


def run(lab: Lab, steps: Iterable[fault.Step]) -> None:
    """Run each step. Raises what the machine or the API server says, at the first that fails."""
    for step in steps:
        if step.on:
            lab.pool.connection(step.on).run(step.argv, stdin=step.stdin)
        else:
            _request(lab, step)


def undo(lab: Lab, steps: Iterable[fault.Step]) -> None:
    """Run each step. An object that is gone meanwhile has taken the fault with it."""
    for step in steps:
        with contextlib.suppress(errors.NotFound):
            run(lab, [step])


def _request(lab: Lab, step: fault.Step) -> None:
    verb, kind, *name = step.argv
    resource = objects.find_resource(kind)
    client = lab.api.client
    if verb == "create":
        client.create(resource, json.loads(step.stdin))
    elif verb == "patch":
        client.patch(resource, name[0], facts.NAMESPACE, json.loads(step.stdin))
    else:
        _delete(lab, resource, name[0])


def _delete(lab: Lab, resource: resources.Resource, name: str) -> None:
    """Return when the object is gone, as it may be already."""
    try:
        lab.api.client.delete(resource, name, facts.NAMESPACE, grace_s=0)
    except errors.NotFound:
        return
    lab.api.wait_for(
        resource,
        [name],
        api.lacks_nothing_but_absence,
        namespace=facts.NAMESPACE,
        timeout_s=TIMEOUT_S,
    )


def is_answered(lab: Lab, ask: fault.Ask, seconds: float) -> bool:
    """True when a pod has answered; whatever else listens there does not count."""
    command = lab.pool.connection(ask.machine).run(ask.argv(seconds), check=False)
    return command.exit_status == 0 and '"pod":' in command.stdout


def answered(lab: Lab, asks: Sequence[fault.Ask], seconds: float) -> tuple[bool, ...]:
    """The same of several, side by side: each that nobody answers takes all of its time."""
    with futures.ThreadPoolExecutor(max(1, len(asks))) as threads:
        return tuple(threads.map(lambda ask: is_answered(lab, ask, seconds), asks))


def await_answers(lab: Lab, asks: Sequence[fault.Ask], within_s: float) -> tuple[fault.Ask, ...]:
    """Send each until it is answered; return those that were not when the time was up."""
    return _ask_on(lab, asks, within_s, PATIENT_S, until=True)


def await_silence(lab: Lab, asks: Sequence[fault.Ask], within_s: float) -> tuple[fault.Ask, ...]:
    """Send each until it is not answered any more; return those that still were."""
    return _ask_on(lab, asks, within_s, IMPATIENT_S, until=False)


def _ask_on(
    lab: Lab, asks: Sequence[fault.Ask], within_s: float, patience_s: float, *, until: bool
) -> tuple[fault.Ask, ...]:
    deadline = time.monotonic() + within_s
    left = tuple(asks)
    while left:
        came = answered(lab, left, patience_s)
        left = tuple(ask for ask, yes in zip(left, came, strict=True) if yes != until)
        if not left or time.monotonic() > deadline:
            break
        time.sleep(AGAIN_S)
    return left
