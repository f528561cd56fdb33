"""What inspection costs: reading rule text, words for it, and a Service among a thousand."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from labkit import errors, lab
from labkit.inspection.explain import ruleset
from labkit.model import ruletext
from tests.bench import verbs

SERVICES = 1_000
RULES = 20_000
AMONG = f", among {SERVICES:,} Services"
VERBS = (
    ("inspect", "app1"),
    ("inspect", "rules"),
    ("probe", "app1"),
    ("predict", "app1"),
    ("trace", "app1"),
)
#: How long the agents may take to write the rules of all Services.
WITHIN_S = 60


def measure(opened: lab.Lab) -> dict[str, float]:
    """Seconds by what was done; a thousand Services are left in the lab, which is thrown away."""
    text = many_rules(RULES)
    parsed = ruletext.parse_ruleset(text)
    found = {
        f"read {RULES:,} rules": best(lambda: ruletext.parse_ruleset(text)),
        f"write {RULES:,} rules": best(lambda: ruletext.render_ruleset(parsed, counters=True)),
        f"words for {RULES:,} rules": best(lambda: ruleset.explain_ruleset(parsed), times=1),
        "python -c pass": command(verbs.PASS),
    }
    few = {f"labkit {' '.join(verb)}": ask(opened, *verb) for verb in VERBS}
    make_services(opened, SERVICES)
    many = {f"labkit {' '.join(verb)}{AMONG}": ask(opened, *verb) for verb in VERBS}
    return {**found, **few, **many}


def rows(found: Mapping[str, float]) -> list[tuple[str, str]]:
    """Every figure; then what each verb adds to the interpreter's start, and how that grows."""
    start = found["python -c pass"]
    told = [(what, f"{seconds:.3f} s") for what, seconds in found.items()]
    for verb in (f"labkit {' '.join(verb)}" for verb in VERBS):
        few, many = found[verb] - start, found[verb + AMONG] - start
        told.append((f"{verb}, on top of the interpreter's start", f"{few:.3f} s"))
        told.append((f"the same{AMONG}: times that", f"{many / few:.2f}"))
    return told


def many_rules(count: int) -> str:
    """A rule set such as iptables mode writes for count/2 endpoints."""
    names = [f"KUBE-SEP-{number:016d}" for number in range(count // 2)]
    chains = "".join(f":{name} - [0:0]\n" for name in names)
    each = (
        '[3:180] -A {0} -s 10.244.1.2/32 -m comment --comment "default/app1" -j KUBE-MARK-MASQ\n'
        '[3:180] -A {0} -p tcp -m comment --comment "default/app1" -m tcp -j DNAT '
        "--to-destination 10.244.1.2:8080\n"
    )
    return f"*nat\n{chains}{''.join(each.format(name) for name in names)}COMMIT\n"


def best(do: Callable[[], Any], *, times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        do()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def command(argv: tuple[str, ...], times: int = 5) -> float:
    return statistics.median(verbs.run_program(argv)[0] for _ in range(times))


def ask(opened: lab.Lab, verb: str, what: str, times: int = 5) -> float:
    argv = (verb, "--name", opened.spec.name, what)
    return statistics.median(verbs.labkit(*argv)[0] for _ in range(times))


def make_services(opened: lab.Lab, count: int) -> None:
    """Apply them, and return when the last one is served on every node."""
    names = [f"many-{number}" for number in range(count)]
    opened.apply("\n---\n".join(json.dumps(service(name)) for name in names))
    deadline = time.monotonic() + WITHIN_S
    while any(node.problems for node in opened.inspect(names[-1]).nodes):
        if time.monotonic() > deadline:
            raise errors.TimedOut(f"{count} Services have no rules after {WITHIN_S} s")


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"name": "app1"}},
    }
