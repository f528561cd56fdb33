"""All on one page: ways, chains, flags, ports, commands, statuses, faults.

Nothing of it is written here. Each part is read from the table by which the code itself works, so
that the page cannot say what is not so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.faults import catalogue
from labkit.inspection import schema, ways
from labkit.inspection.explain import chains
from labkit.model import example, flags, kubelet, portals, spec

VERSION = 1
_ENDS_IN = {"container": "REDIRECT", "host": "DNAT", "accept": "ACCEPT"}


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field of a Service puts such a rule into a chain; `condition`: what it asks besides."""

    service_field: str
    chain: str
    condition: str
    ends_in: str


@dataclass(frozen=True, slots=True)
class OtherChain:
    """A chain that is not one of the proxy's own here: the kernel's, or of another mode."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Port:
    """`number` is text: some are ranges."""

    number: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One command of `labkit`; `options` are its own, without those that all have."""

    heading: str
    usage: str
    does: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """What a command's exit status means, and the ids of the errors that end with it."""

    status: int
    meaning: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One way to break the lab."""

    layer: str
    id: str
    title: str


@dataclass(frozen=True, slots=True, repr=False)
class Reference(shown.Shown):
    """The page."""

    ways: tuple[ways.Way, ...]
    chains: tuple[portals.PortalChain, ...]
    rules: tuple[FieldRule, ...]
    other_chains: tuple[OtherChain, ...]
    flags: tuple[flags.Flag, ...]
    ports: tuple[Port, ...]
    verbs: tuple[Verb, ...]
    exits: tuple[Exit, ...]
    faults: tuple[FaultLine, ...]

    def document(self) -> document.Section:
        return document.Section("Reference", tuple(_sections(self)))

    def to_json(self) -> dict[str, Any]:
        return schema.envelope("reference", VERSION, self)


def collect(verbs: Sequence[Verb], exits: Sequence[Exit]) -> Reference:
    """Read every table. What is the command line's own comes from there: nobody below knows it."""
    return Reference(
        ways=ways.WAYS,
        chains=portals.CHAINS,
        rules=tuple(_rules()),
        other_chains=tuple(_other_chains()),
        flags=flags.FLAGS,
        ports=tuple(_ports()),
        verbs=tuple(verbs),
        exits=tuple(exits),
        faults=tuple(FaultLine(one.layer, one.id, one.title) for one in catalogue.FAULTS.values()),
    )


def _rules() -> Iterator[FieldRule]:
    for service_field, shapes in portals.PORTALS.items():
        for shape in shapes:
            yield FieldRule(service_field, shape.chain, shape.extra, _ENDS_IN[shape.side])


def _other_chains() -> Iterator[OtherChain]:
    for name, meaning in (chains.BUILT_IN | chains.OTHERS).items():
        yield OtherChain(name, meaning)
    for beginning, meaning in chains.BEGINNINGS.items():
        yield OtherChain(f"{beginning}...", meaning)


def _ports() -> Iterator[Port]:
    lab = spec.plan()
    first, last = lab.node_ports
    known = {flag.name: flag for flag in flags.FLAGS}
    yield Port(str(spec.API_PORT), lab.control.name, "the API server, over TLS")
    for name in ("healthz-bind-address", "metrics-bind-address"):
        flag = known[name]
        yield Port(flag.default.rpartition(":")[2], "every node", f"kube-proxy: {flag.meaning}")
    yield Port(str(kubelet.PORT), "every node", "the podlet: logs of pods, programs in pods")
    yield Port(f"{first}-{last}", "every node", "nodePorts of Services")
    yield Port("any", "every node", f"proxy ports, see --{known['proxy-port-range'].name}")
    yield Port(str(example.NODE_PORT), "every node", f"the nodePort of {example.NAME}")
    yield Port(str(example.PORT), "clusterIP, pods", f"port and targetPort of {example.NAME}")


def _sections(page: Reference) -> Iterator[document.Section]:
    yield _table(
        "Five ways into a Service",
        ("way", "who sends", "what is dialled", "chain", "reached from", "verdict"),
        [(w.number, w.client, w.dials, w.chain, w.hook, w.verdict) for w in page.ways],
    )
    yield document.Section(
        "Chains of kube-proxy's userspace mode",
        tuple(_chain(chain, page.rules) for chain in page.chains),
    )
    yield _table(
        "Other chains: the kernel's own, and those of kube-proxy's iptables mode",
        ("chain", "what it is for"),
        [(one.name, one.meaning) for one in page.other_chains],
    )
    yield _table(
        "kube-proxy's flags",
        ("flag", "default", "meaning", "yours to set?"),
        [
            (f"--{f.name}", f.default, f.meaning, f"no: {f.set_by}" if f.set_by else "yes")
            for f in page.flags
        ],
    )
    yield _table(
        "Ports",
        ("port", "where", "what"),
        [(one.number, one.where, one.what) for one in page.ports],
    )
    yield document.Section("Commands", tuple(_commands(page.verbs)))
    yield _table(
        "How a command ends",
        ("status", "meaning", "ids"),
        [(one.status, one.meaning, " ".join(one.ids)) for one in page.exits],
    )
    yield _table(
        "Faults",
        ("layer", "fault", "what is broken"),
        [(one.layer, one.id, one.title) for one in page.faults],
    )


def _table(
    heading: str, columns: tuple[str, ...], rows: Sequence[Sequence[document.Cell]]
) -> document.Section:
    return document.Section(heading, (document.Table(columns, rows),))


def _chain(chain: portals.PortalChain, rules: Sequence[FieldRule]) -> document.Section:
    own = [(r.service_field, r.condition, r.ends_in) for r in rules if r.chain == chain.name]
    return document.Section(
        f"{chain.name}, in the table {chain.table}",
        (
            document.Text(chain.reached_by),
            document.Text(f"The jump stands {chain.position} in {chain.hook}:"),
            document.Code((chain.jump.text,)),
            document.Table(("field", "asks besides", "ends in"), own, caption="Its rules"),
        ),
    )


def _commands(verbs: Sequence[Verb]) -> Iterator[document.Block]:
    yield document.Text(
        "Every command also has --help, --name and --debug; -o json where it shows a result."
    )
    for heading in dict.fromkeys(verb.heading for verb in verbs):
        rows = [
            (verb.usage, verb.does, " ".join(verb.options))
            for verb in verbs
            if verb.heading == heading
        ]
        yield document.Table(("labkit ...", "what it does", "its options"), rows, caption=heading)
