"""Measurements, for people: `python -m tests.bench` prints them. No test depends on a time.

* `verbs`    what the commands take, from typing them to their end
* `memory`   what each machine of a lab holds in memory, by role
* `relay`    what the way through the proxy costs, beside the way without it
* `stock`    our API server beside a stock one: `python -m tests.bench.stock`, on its own

The figures are of this machine, now: compare them only with others of the same run.
"""
