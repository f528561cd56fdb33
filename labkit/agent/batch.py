"""The difference between the rules that should be and those that are, as one batch.

    *nat
    :KUBE-PORTALS-HOST - [0:0]       a chain that is missing (naming one that is there empties it)
    -D KUBE-PORTALS-CONTAINER 2      a rule of ours that should not be there, by its number
    -A KUBE-PORTALS-HOST -d ...      a rule that is missing, at the end
    -I KUBE-PORTALS-HOST 1 -d ...    ... or at its place
    COMMIT                           nothing in this table has happened until here; now it all has

`iptables-restore --noflush` takes such a text. Rules that are as they should be are not mentioned,
so they keep their counters; chains of other people are not mentioned at all. Of the chains that we
share with others (PREROUTING, OUTPUT, INPUT) only the jumps to our own chains are ours: they have
to be there, once, Service addresses before nodePorts. What others put before, between or after
them is theirs.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence

from labkit.model import portals, rules

#: Each table is committed by itself, so what lets packets in comes before what sends them there.
TABLES = ("filter", "nat")


def plan_batch(wanted: Mapping[str, Sequence[rules.Rule]], current: rules.Ruleset) -> str:
    """The batch that leaves each of our chains with just its wanted rules, in their order.

    `wanted` is by chain. Empty when there is nothing to change.
    """
    return _render({table: list(_plan_table(table, wanted, current)) for table in TABLES})


def settled(wanted: Mapping[str, Sequence[rules.Rule]]) -> rules.Ruleset:
    """What is ours of the rules once a batch for `wanted` has been applied."""
    return rules.Ruleset(tuple(rules.Table(table, _settle(table, wanted)) for table in TABLES))


def is_flushed(current: rules.Ruleset) -> bool:
    """True when neither a rule nor a jump of ours is left in nat: somebody emptied the table."""
    found = current.table("nat")
    names = tuple(chain.name for chain in portals.CHAINS)
    return not found or not any(
        chain.rules if chain.name in names else any(_jumps_to(rule, names) for rule in chain.rules)
        for chain in found.chains
    )


def plan_cleanup(current: rules.Ruleset) -> str:
    """The batch that removes our chains and every jump to them; empty when there are none."""
    return _render({table: list(_plan_removal(table, current)) for table in TABLES})


def _render(batch: Mapping[str, Sequence[str]]) -> str:
    return "".join(
        "\n".join((f"*{table}", *lines, "COMMIT\n")) for table, lines in batch.items() if lines
    )


def _settle(table: str, wanted: Mapping[str, Sequence[rules.Rule]]) -> tuple[rules.Chain, ...]:
    ours = [chain for chain in portals.CHAINS if chain.table == table]
    chains = [
        rules.Chain(chain.name, rules=tuple(dict.fromkeys(wanted.get(chain.name, ()))))
        for chain in ours
    ]
    for hook in dict.fromkeys(chain.hook for chain in ours):
        jumps = tuple(chain.jump for chain in ours if chain.hook == hook)
        chains.append(rules.Chain(hook, rules=jumps))
    return tuple(chains)


def _plan_table(
    table: str, wanted: Mapping[str, Sequence[rules.Rule]], current: rules.Ruleset
) -> Iterator[str]:
    ours = [chain for chain in portals.CHAINS if chain.table == table]
    for chain in ours:
        if current.chain(table, chain.name) is None:
            yield f":{chain.name} - [0:0]"
    for chain in ours:
        specs = [rule.spec for rule in wanted.get(chain.name, ())]
        standing = [rule.spec for rule in current.rules(table, chain.name)]
        yield from _plan_chain(chain.name, list(dict.fromkeys(specs)), standing)
    for hook in dict.fromkeys(chain.hook for chain in ours):
        jumps = [chain for chain in ours if chain.hook == hook]
        yield from _plan_jumps(hook, jumps, current.rules(table, hook))


def _plan_chain(name: str, wanted: Sequence[str], standing: Sequence[str]) -> Iterator[str]:
    """Delete from the bottom up, so that the numbers hold; then fill the gaps from the top down."""
    kept = _in_order(wanted, standing)
    for number in range(len(standing), 0, -1):
        if number - 1 not in kept:
            yield f"-D {name} {number}"
    there = {standing[at] for at in kept}
    last_kept = max((at for at, spec in enumerate(wanted) if spec in there), default=-1)
    for at, spec in enumerate(wanted):
        if at > last_kept:
            yield f"-A {name} {spec}"
        elif spec not in there:
            yield f"-I {name} {at + 1} {spec}"


def _in_order(wanted: Sequence[str], standing: Sequence[str]) -> set[int]:
    """As many places of `standing` as can stay: rules that are wanted and in the wanted order.

    That is the longest rising subsequence of their places in `wanted`, found by patience sorting.
    """
    places = {spec: at for at, spec in enumerate(wanted)}
    tails: list[int] = []  # the smallest place that ends a rising run of each length
    ends: list[int] = []  # where in `standing` that is
    before: dict[int, int | None] = {}
    for at, spec in enumerate(standing):
        if (place := places.get(spec)) is None:
            continue
        length = bisect.bisect_left(tails, place)
        tails[length : length + 1] = [place]
        ends[length : length + 1] = [at]
        before[at] = ends[length - 1] if length else None
    kept = set()
    step = ends[-1] if ends else None
    while step is not None:
        kept.add(step)
        step = before[step]
    return kept


def _plan_jumps(
    hook: str, ours: Sequence[portals.PortalChain], standing: Sequence[rules.Rule]
) -> Iterator[str]:
    """Add the jumps that are missing; where ours are out of order or doubled, begin anew."""
    names = tuple(chain.name for chain in ours)
    there = [rule.spec for rule in standing if _jumps_to(rule, names)]
    in_order = [chain.jump.spec for chain in ours if chain.jump.spec in there]
    if there != in_order:
        yield from (f"-D {hook} {spec}" for spec in there)
        there = []
    for chain in ours:
        if chain.jump.spec not in there:
            verb = f"-I {hook} 1" if chain.position == "first" else f"-A {hook}"
            yield f"{verb} {chain.jump.spec}"


def _plan_removal(table: str, current: rules.Ruleset) -> Iterator[str]:
    found = current.table(table)
    if found is None:
        return
    names = tuple(chain.name for chain in portals.CHAINS if chain.table == table)
    for chain in found.chains:
        if chain.name not in names:
            yield from (f"-D {r.chain} {r.spec}" for r in chain.rules if _jumps_to(r, names))
    present = [name for name in names if found.chain(name)]
    yield from (f"-F {name}" for name in present)
    yield from (f"-X {name}" for name in present)


def _jumps_to(rule: rules.Rule, names: Sequence[str]) -> bool:
    return rule.spec.endswith(tuple(f"-{verb} {name}" for verb in "jg" for name in names))
