"""What a host said of itself. `probe.sh` writes it, one `word value` a line."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network


@dataclass(frozen=True, slots=True)
class Survey:
    """One host, before anything is changed there. `kernel` is what its kernel could not do."""

    uid: int = 0
    clock: int = 0
    python: str = ""
    iptables: str = ""
    kernel: str = ""
    lacks: tuple[str, ...] = ()
    addresses: tuple[IPv4Interface, ...] = ()
    routes: tuple[IPv4Network, ...] = ()
    listens: frozenset[int] = frozenset()
    #: What is there that a lab would make: `cbr0`, chains of a kube-proxy, folders of labkit's.
    taken: tuple[str, ...] = ()
    #: Whose mark the host bears: the lab's id and its name.
    mark: str = ""
    lab: str = ""


def parse_survey(text: str) -> Survey:
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        said.setdefault(word, []).append(value)

    def one(word: str) -> str:
        return said.get(word, [""])[0]

    return Survey(
        uid=int(one("uid") or -1),
        clock=int(one("clock") or 0),
        python=one("python"),
        iptables=one("iptables"),
        kernel=one("kernel"),
        lacks=tuple(said.get("lacks", ())),
        addresses=tuple(IPv4Interface(each) for each in said.get("address", ())),
        routes=tuple(_networks(said.get("route", ()))),
        listens=frozenset(int(each) for each in said.get("listens", ()) if each.isdigit()),
        taken=tuple(said.get("link", []) + said.get("chain", []) + said.get("left", [])),
        mark=one("mark-id"),
        lab=one("mark-lab"),
    )


def _networks(words: list[str] | tuple[()]) -> list[IPv4Network]:
    """Destinations of routes; `default` overlaps everything, and `unreachable` is none."""
    return [IPv4Network(word, strict=False) for word in words if word[:1].isdigit()]
