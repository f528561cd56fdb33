"""All faults, by layer and name."""

from __future__ import annotations

from labkit import errors
from labkit.faults import clock, network, objects, proxy, rules
from labkit.faults.fault import Fault
from labkit.model import words

FAULTS: dict[str, Fault] = {
    fault.id: fault for layer in (objects, rules, proxy, network, clock) for fault in layer.FAULTS
}


def find(name: str) -> Fault:
    """Raises NothingMatched, with the name that was probably meant."""
    if name in FAULTS:
        return FAULTS[name]
    raise errors.NothingMatched(f"there is no fault {name!r}", hint=words.suggest(name, FAULTS))
