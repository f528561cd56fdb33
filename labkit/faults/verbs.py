"""Break a lab, and make it whole again. One fault at a time.

`inject` proves with real requests that the lab was whole, and that it is broken; `clear` proves
that it is whole again, and compares everything that a fault could change, letter by letter.
"""

from __future__ import annotations

import contextlib
import random as chance
import time
from typing import TYPE_CHECKING

from labkit import errors
from labkit.faults import acting, catalogue, facts, fault, look, receipts, results
from labkit.lab import lock
from labkit.model import spec, words

if TYPE_CHECKING:
    from labkit.lab import Lab

#: For so long a lab may need to show a fault: the API's news spread, a program ends.
BREAKS_S = 15.0
#: A proxy that has died often is started again only after 5 s, and then writes its rules.
MENDS_S = 25.0
#: What kube-proxy mends by itself may take its time; other lines are as they will stay.
_SETTLES = "KUBE-"


def listing(lab: Lab | None = None) -> results.Listing:
    """All faults, and the one that the lab has."""
    return results.Listing(receipts.active(lab.paths) if lab else None)


def inject(
    lab: Lab, name: str, *, node: str | None = None, hidden: bool = False
) -> receipts.Receipt:
    """Break the lab in this way. Without `node`: on the first worker where it can be.

    Raises NothingMatched for an unknown fault, UsageError for a node that cannot have it, Busy for
    a lab that has a fault already.
    """
    wanted = catalogue.find(name)
    _check_runs(lab)
    with lock.exclusive(lab.paths.state, "fault"):
        _check_whole(lab)
        place, change = _plan(lab, wanted, node)
        return _inject(lab, wanted, place, change, hidden=hidden)


def random(lab: Lab, *, seed: int | None = None) -> receipts.Receipt:
    """Break the lab in a way that is not told, until it is cleared or rightly diagnosed.

    The same seed breaks the same lab in the same way.
    """
    _check_runs(lab)
    draw = chance.Random(seed)  # noqa: S311 - a surprise, not a secret
    names = draw.sample(sorted(catalogue.FAULTS), len(catalogue.FAULTS))
    nodes = [node.name for node in lab.spec.workers or lab.spec.cluster]
    for name in names:
        node = draw.choice(nodes)
        wanted = catalogue.find(name)
        with contextlib.suppress(errors.UsageError, errors.NotSupported):
            return inject(lab, name, node=node if wanted.bound == "node" else None, hidden=True)
    raise errors.NotSupported("no fault fits this lab", hint="`labkit up` applies the example")


def clear(lab: Lab) -> results.Cleared:
    """Undo the lab's fault, whoever injected it, and prove that. Without one it is content."""
    lab.kubeconfig()  # raises NothingMatched for a lab that was never up
    if not receipts.active(lab.paths):
        return results.Cleared()
    _check_runs(lab)
    with lock.exclusive(lab.paths.state, "fault"):
        receipt = receipts.active(lab.paths)
        return _clear(lab, receipt) if receipt else results.Cleared()


def end(lab: Lab) -> tuple[str, ...]:
    """Clear what there is and forget that it was: a line for it, or none."""
    cleared = clear(lab)
    receipts.forget(lab.paths)
    return (f"undid the fault {cleared.fault}",) if cleared.fault else ()


def diagnose(
    lab: Lab, *, node: str | None = None, layer: str | None = None, cause: str | None = None
) -> results.Grade:
    """Grade what somebody thinks the fault is: its node, its layer, its name; and the repair.

    `node` is `cluster` for a fault in the API's objects. What was left out counts as wrong. After
    `clear` has told what it was, a right answer is not remembered any more.
    """
    receipt = _last(lab)
    _check_words(lab, node, layer, cause)
    _check_runs(lab)
    known = catalogue.find(receipt.fault)
    asks = acting.await_answers(lab, receipt.asks, 0)
    right = (node == receipt.node, layer == known.layer, cause == known.id)
    if all(right) and receipt.is_active:
        receipts.keep(lab.paths, receipt, diagnosed=True)
    return results.Grade(
        *right,
        repaired=not asks,
        fault=receipt.fault if all(right) else "",
        unanswered=tuple(ask.words for ask in asks),
    )


def reveal(lab: Lab) -> results.Cleared:
    """Name the fault rightly, and undo it, as one who knows would."""
    receipt = _last(lab)
    layer = catalogue.find(receipt.fault).layer
    diagnose(lab, node=receipt.node, layer=layer, cause=receipt.fault)
    return clear(lab)


def why_unsolved(lab: Lab) -> str:
    """What is missing until a hidden fault is rightly named and mended; nothing when it is."""
    receipt = receipts.load(lab.paths)
    if receipt is None or not receipt.hidden:
        return "nobody has hidden a fault yet"
    if not receipt.diagnosed and not receipt.is_active:
        return "the last hidden fault was told, and not found"
    if not receipt.diagnosed:
        return "node, layer and cause have not all been named rightly"
    missing = acting.await_answers(lab, receipt.asks, 0)
    return "; ".join(f"{ask.words}: no answer" for ask in missing)


def _inject(
    lab: Lab, wanted: fault.Fault, place: str, change: fault.Change, *, hidden: bool
) -> receipts.Receipt:
    if missing := acting.await_answers(lab, change.asks, acting.PATIENT_S):
        raise errors.ProviderError(
            f"the lab is broken already: {missing[0].words}, and nobody answers",
            hint="`labkit status` shows the lab, `labkit up` mends it",
        )
    receipt = receipts.Receipt(
        fault=wanted.id,
        node=place,
        hidden=hidden,
        stage="injecting",
        began=receipts.now(),
        do=change.do,
        undo=change.undo,
        asks=change.asks,
        before=dict(look.look(lab)),
    )
    receipts.keep(lab.paths, receipt)
    try:
        acting.run(lab, change.do)
        if working := acting.await_silence(lab, change.asks, BREAKS_S):
            raise errors.ProviderError(
                f"{wanted.id} has broken nothing: {working[0].words}, and is answered",
                hint="the fault is undone; choose another",
            )
    except errors.LabkitError:
        _clear(lab, receipt)
        receipts.forget(lab.paths)
        raise
    return receipts.keep(lab.paths, receipt, stage="active")


def _clear(lab: Lab, receipt: receipts.Receipt) -> results.Cleared:
    acting.undo(lab, receipt.undo)
    missing = acting.await_answers(lab, receipt.asks, MENDS_S)
    changed = _await_as_before(lab, receipt)
    receipts.keep(lab.paths, receipt, stage="cleared")
    return results.Cleared(
        fault=receipt.fault,
        node=receipt.node,
        did=tuple(step.line for step in receipt.undo),
        unanswered=tuple(ask.words for ask in missing),
        differences=changed,
    )


def _await_as_before(lab: Lab, receipt: receipts.Receipt) -> tuple[str, ...]:
    """What is not as it was before the fault. kube-proxy's own rules have time to come back."""
    redraws = catalogue.find(receipt.fault).redraws
    deadline = time.monotonic() + MENDS_S
    while True:
        changed = look.differences(receipt.before, look.look(lab), redraws)
        waits = any(_SETTLES in line or line.startswith(look.API) for line in changed)
        if not waits or time.monotonic() > deadline:
            return changed
        time.sleep(acting.AGAIN_S)


def _plan(lab: Lab, wanted: fault.Fault, node: str | None) -> tuple[str, fault.Change]:
    """Where the fault goes, and what it is there."""
    if wanted.bound == "cluster":
        if node not in (None, fault.CLUSTER):
            raise errors.UsageError(
                f"{wanted.id} is in the objects of the API, and not on {node}",
                hint="leave out the node",
            )
        return fault.CLUSTER, wanted.plan(facts.read(lab, _candidates(lab, None)[0]))
    why: errors.LabkitError | None = None
    for one in _candidates(lab, node):
        try:
            return one.name, wanted.plan(facts.read(lab, one))
        except errors.UsageError as error:
            why = why or error
    assert why
    raise why


def _candidates(lab: Lab, node: str | None) -> tuple[spec.NodeSpec, ...]:
    """Raises NothingMatched for a node that does not exist, UsageError for one outside."""
    if node is None:
        return lab.spec.workers or lab.spec.cluster
    found = lab.spec.node(node)
    if not found.in_cluster:
        known = ", ".join(one.name for one in lab.spec.cluster)
        raise errors.UsageError(f"{node} is outside of the cluster", hint=f"nodes are {known}")
    return (found,)


def _check_runs(lab: Lab) -> None:
    """Raises NothingMatched where there is no lab, ProviderError where not all of it runs."""
    lab.kubeconfig()
    states = {each.name: each.state for each in lab.provider.machines()}
    for node in lab.spec.cluster:
        if states.get(node.name) != "running":
            raise errors.ProviderError(
                "is not running", node=node.name, hint="`labkit up` starts it"
            )


def _check_whole(lab: Lab) -> None:
    found = receipts.active(lab.paths)
    if found:
        which = found.fault if found.is_told else "a hidden one"
        raise errors.Busy(
            f"the lab has a fault already: {which}, since {found.began}",
            hint="`labkit fault clear` undoes it, `labkit fault diagnose` grades your diagnosis",
        )


def _last(lab: Lab) -> receipts.Receipt:
    lab.kubeconfig()
    receipt = receipts.load(lab.paths)
    if receipt is None:
        raise errors.NothingMatched(
            "there is no fault to diagnose", hint="`labkit fault random` hides one in the lab"
        )
    return receipt


def _check_words(lab: Lab, node: str | None, layer: str | None, cause: str | None) -> None:
    """Raises for a node, a layer or a fault that there is not: that is no diagnosis."""
    if node is not None and node != fault.CLUSTER:
        lab.spec.node(node)
    if layer is not None and layer not in fault.LAYERS:
        hint = words.suggest(layer, fault.LAYERS)
        raise errors.NothingMatched(f"there is no layer {layer!r}", hint=hint)
    if cause is not None:
        catalogue.find(cause)
