"""The batch between two rule sets: applied, it leaves nothing to do."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from labkit.agent import batch
from labkit.model import portals, rules, ruletext

CHAINS = [chain.name for chain in portals.CHAINS]
specs = st.sampled_from([f"-d 10.96.0.{n}/32 -j ACCEPT" for n in range(12)])
JUMPS = [(chain.table, chain.jump) for chain in portals.CHAINS]
FOREIGN = [rules.Rule("PREROUTING", f"-s 10.9.{n}.0/24 -j RETURN") for n in range(3)]


def wanted_of(found: dict[str, list[str]]) -> dict[str, list[rules.Rule]]:
    return {name: [rules.Rule(name, spec) for spec in specs] for name, specs in found.items()}


wanted_rules = st.fixed_dictionaries({name: st.lists(specs, unique=True) for name in CHAINS})


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    """Any state that our chains and jumps can be found in, with other people's rules around."""
    kernel = Kernel()
    for table in batch.TABLES:
        for hook in dict.fromkeys(c.hook for c in portals.CHAINS if c.table == table):
            own = [jump.spec for where, jump in JUMPS if where == table and jump.chain == hook]
            others = [rule.spec for rule in FOREIGN]
            kernel.chains[table, hook] = draw(st.lists(st.sampled_from(own + others), max_size=6))
    for chain in portals.CHAINS:
        if draw(st.booleans()) or kernel.names(chain.name):
            kernel.chains[chain.table, chain.name] = draw(st.lists(specs, max_size=8))
    return kernel


class Kernel:
    """iptables-restore --noflush, as far as our batches use it."""

    def __init__(self) -> None:
        self.chains: dict[tuple[str, str], list[str]] = {}

    def names(self, chain: str) -> bool:
        return any(spec.endswith(f"-j {chain}") for held in self.chains.values() for spec in held)

    def ruleset(self) -> rules.Ruleset:
        lines = []
        for table in batch.TABLES:
            held = {name: specs for (where, name), specs in self.chains.items() if where == table}
            lines += [f"*{table}", *(f":{name} - [0:0]" for name in held)]
            lines += [f"-A {name} {spec}" for name, found in held.items() for spec in found]
            lines.append("COMMIT")
        return ruletext.parse_ruleset("\n".join(lines) + "\n")

    def restore(self, text: str) -> None:
        table = ""
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                self.chains[table, line[1:].split()[0]] = []
            elif line != "COMMIT":
                self._change(table, line)

    def _change(self, table: str, line: str) -> None:
        verb, name, rest = re.fullmatch(r"-(\w) (\S+) ?(.*)", line).groups()  # type: ignore[union-attr]
        held = self.chains[table, name]
        match verb:
            case "A":
                held.append(rest)
            case "I":
                number, _, spec = rest.partition(" ")
                assert 1 <= int(number) <= len(held) + 1
                held.insert(int(number) - 1, spec)
            case "D" if rest.isdigit():
                del held[int(rest) - 1]
            case "D":
                held.remove(rest)
            case "F":
                held.clear()
            case "X":
                assert not held
                assert not self.names(name)
                del self.chains[table, name]


@given(wanted_rules, kernels())
def test_apply_then_diff_is_empty(found: dict[str, list[str]], kernel: Kernel) -> None:
    wanted = wanted_of(found)
    kernel.restore(batch.plan_batch(wanted, kernel.ruleset()))
    assert batch.plan_batch(wanted, kernel.ruleset()) == ""
    for chain in portals.CHAINS:
        assert kernel.chains[chain.table, chain.name] == found[chain.name]


@given(wanted_rules, kernels())
def test_US_22_every_jump_is_there_once_Service_addresses_first(
    found: dict[str, list[str]], kernel: Kernel
) -> None:
    kernel.restore(batch.plan_batch(wanted_of(found), kernel.ruleset()))
    for table in batch.TABLES:
        for hook in dict.fromkeys(c.hook for c in portals.CHAINS if c.table == table):
            jumps = [j.spec for where, j in JUMPS if where == table and j.chain == hook]
            held = kernel.chains[table, hook]
            assert [spec for spec in held if spec in jumps] == jumps


@given(wanted_rules, kernels())
def test_other_people_s_rules_stay_in_their_order(
    found: dict[str, list[str]], kernel: Kernel
) -> None:
    def foreign() -> list[str]:
        held = kernel.chains["nat", "PREROUTING"]
        return [spec for spec in held if spec in {rule.spec for rule in FOREIGN}]

    before = foreign()
    kernel.restore(batch.plan_batch(wanted_of(found), kernel.ruleset()))
    assert foreign() == before
    kernel.restore(batch.plan_cleanup(kernel.ruleset()))
    assert foreign() == before


@given(kernels())
def test_US_75_cleanup_leaves_nothing_of_ours_and_can_be_repeated(kernel: Kernel) -> None:
    kernel.restore(batch.plan_cleanup(kernel.ruleset()))
    assert not {name for _, name in kernel.chains} & set(CHAINS)
    assert not any(kernel.names(name) for name in CHAINS)
    assert batch.plan_cleanup(kernel.ruleset()) == ""


@given(st.lists(specs, unique=True, min_size=1), st.data())
def test_a_rule_more_or_less_touches_no_other(held: list[str], data: st.DataObject) -> None:
    """So that the others keep their counters."""
    name = "KUBE-PORTALS-HOST"
    kernel = Kernel()
    kernel.restore(batch.plan_batch(wanted_of({name: held}), kernel_with_hooks(kernel).ruleset()))
    one = data.draw(st.sampled_from(held))
    fewer = [spec for spec in held if spec != one]
    removal = batch.plan_batch(wanted_of({name: fewer}), kernel.ruleset())
    assert removal == f"*nat\n-D {name} {held.index(one) + 1}\nCOMMIT\n"
    kernel.restore(removal)
    addition = batch.plan_batch(wanted_of({name: held}), kernel.ruleset())
    assert len(addition.splitlines()) == 3
    assert addition.splitlines()[1].endswith(one)


def kernel_with_hooks(kernel: Kernel) -> Kernel:
    for chain in portals.CHAINS:
        kernel.chains.setdefault((chain.table, chain.hook), [])
    return kernel


def test_a_fresh_kernel_gets_chains_and_jumps_in_one_batch() -> None:
    """What lets packets in comes first: each table is committed by itself."""
    into, first_container, first_host, last_container, last_host = (
        jump.spec for _, jump in (JUMPS[4], *JUMPS[:4])
    )
    assert batch.plan_batch({}, rules.Ruleset()).splitlines() == [
        "*filter",
        ":KUBE-NODEPORT-NON-LOCAL - [0:0]",
        f"-I INPUT 1 {into}",
        "COMMIT",
        "*nat",
        ":KUBE-PORTALS-CONTAINER - [0:0]",
        ":KUBE-PORTALS-HOST - [0:0]",
        ":KUBE-NODEPORT-CONTAINER - [0:0]",
        ":KUBE-NODEPORT-HOST - [0:0]",
        f"-I PREROUTING 1 {first_container}",
        f"-A PREROUTING {last_container}",
        f"-I OUTPUT 1 {first_host}",
        f"-A OUTPUT {last_host}",
        "COMMIT",
    ]
    assert batch.plan_cleanup(rules.Ruleset()) == ""


def test_a_jump_of_another_form_is_replaced() -> None:
    kernel = kernel_with_hooks(Kernel())
    kernel.restore(batch.plan_batch({}, kernel.ruleset()))
    kernel.chains["filter", "INPUT"] = ["-j KUBE-NODEPORT-NON-LOCAL"]
    kernel.restore(batch.plan_batch({}, kernel.ruleset()))
    assert kernel.chains["filter", "INPUT"] == [portals.CHAINS[4].jump.spec]


@given(wanted_rules, wanted_rules, kernels())
def test_what_was_applied_need_not_be_read_to_plan_the_next_batch(
    first: dict[str, list[str]], second: dict[str, list[str]], kernel: Kernel
) -> None:
    kernel.restore(batch.plan_batch(wanted_of(first), kernel.ruleset()))
    settled = batch.settled(wanted_of(first))
    assert batch.plan_batch(wanted_of(first), settled) == ""
    read = batch.plan_batch(wanted_of(second), kernel.ruleset())
    assert batch.plan_batch(wanted_of(second), settled) == read


@given(wanted_rules, kernels())
def test_flushed_means_that_nothing_of_ours_is_left(
    wanted: dict[str, list[str]], kernel: Kernel
) -> None:
    kernel.restore(batch.plan_batch(wanted_of(wanted), kernel.ruleset()))
    assert not batch.is_flushed(kernel.ruleset())
    for held in kernel.chains.values():
        held[:] = [spec for spec in held if spec in {rule.spec for rule in FOREIGN}]
    assert batch.is_flushed(kernel.ruleset())
    assert batch.is_flushed(rules.Ruleset())
