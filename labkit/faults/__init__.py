"""Faults: a lab that is broken on purpose, in one known way, and can be made whole again.

A fault is data: what it is, what a user notices, and a *plan*, worked out from the lab as it is:

    do      commands and API requests that break something
    undo    their exact inverse; each step may run twice, or although nothing was done
    asks    real requests: all are answered in a whole lab, and none in the broken one

* `fault`       what a fault is made of
* `objects`, `rules`, `network`, `proxy`, `clock`    the faults, by the layer that they are in
* `catalogue`   all of them by name
* `facts`       what a plan is worked out from
* `acting`      runs steps, sends requests
* `look`        everything that a fault could change, as lines: the same before as after
* `receipts`    what was done, on disk before it is done, so that any process can undo it
* `verbs`       inject, clear, random, diagnose
"""

from labkit.faults.catalogue import FAULTS, find
from labkit.faults.fault import LAYERS, Fault
from labkit.faults.receipts import Receipt
from labkit.faults.results import Cleared, Grade, Listing
from labkit.faults.verbs import clear, diagnose, end, inject, listing, random, reveal, why_unsolved

__all__ = [
    "FAULTS",
    "LAYERS",
    "Cleared",
    "Fault",
    "Grade",
    "Listing",
    "Receipt",
    "clear",
    "diagnose",
    "end",
    "find",
    "inject",
    "listing",
    "random",
    "reveal",
    "why_unsolved",
]
