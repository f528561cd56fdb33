"""Each layer, from the text of real programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from labkit import errors
from labkit.inspection import collect
from labkit.inspection.layers import connections, conntrack, look, report, rows
from labkit.model import commands

GOLDEN = Path(__file__).parents[3] / "cases" / "golden" / "02-app1-nodeport"
REWRITTEN = (
    "ipv4     2 tcp      6 86 TIME_WAIT src=10.244.1.2 dst=10.96.20.1 sport=40000 dport=8080 "
    "src=192.168.56.11 dst=10.244.1.2 sport=40193 dport=40000 [ASSURED] mark=0 use=1"
)
LINES = f"""\
{REWRITTEN}
ipv4     2 udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.9 sport=53 dport=5 mark=0 use=1
icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=7
conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.
"""  # noqa: E501


class FakeNode:
    """Answers the script with `stdout`, or fails."""

    name = "node1"

    def __init__(self, stdout: str = "", error: errors.LabkitError | None = None) -> None:
        self.stdout, self.error = stdout, error
        self.asked: list[str] = []

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30, check: bool = True
    ) -> commands.Command:
        raise AssertionError

    def script(self, text: str, *, check: bool = True) -> commands.Command:
        self.asked.append(text)
        if self.error:
            raise self.error
        return commands.Command(("sh",), 0, self.stdout, "sh: no conntrack", 0.1, self.name)


def test_conntrack_says_what_was_rewritten() -> None:
    first, second, third = conntrack.parse_conntrack(LINES)
    assert first == rows.FlowRow(
        "tcp", "TIME_WAIT", "10.244.1.2:40000", "10.96.20.1:8080", "192.168.56.11:40193",
        "10.244.1.2:40000", "destination to 192.168.56.11:40193",
    )  # fmt: skip
    assert (second.state, second.rewritten) == ("UNREPLIED", "source to 10.0.0.9:5")
    assert (third.protocol, third.opened_to, third.rewritten) == ("icmp", "10.0.0.2", "")
    assert conntrack.parse_conntrack("tcp 6 1 src=1 dst=2\nnonsense") == ()


def test_connections() -> None:
    text = (
        '0 0 192.168.56.11:22 192.168.56.1:50000 users:(("sshd",pid=27,fd=3))\n'
        "0      0   [::1]:80 [::1]:81\nRecv-Q Send-Q\n"
    )
    assert connections.parse_connections(text) == (
        rows.ConnectionRow("192.168.56.11:22", "192.168.56.1:50000", "sshd (pid 27)"),
        rows.ConnectionRow("[::1]:80", "[::1]:81", "unknown"),
    )


@pytest.mark.parametrize("mode", ["userspace", "iptables"])
def test_chains_and_rules_of_saved_text(mode: str) -> None:
    text = (GOLDEN / f"{mode}.rules").read_text()
    seen = look.from_text("saved", text)
    all_chains = look.list_rows(seen, "chains")
    assert len(all_chains) == text.count("\n:")
    all_rules = look.list_rows(seen, "rules")
    assert len(all_rules) == text.count("\n-A ")
    (chain,) = look.list_rows(seen, "chains", chain="PREROUTING")
    assert isinstance(chain, rows.ChainRow)
    assert (chain.policy, chain.purpose[:12]) == ("ACCEPT", "every packet")
    one = look.list_rows(seen, "rules", chain="PREROUTING")[0]
    assert isinstance(one, rows.RuleRow)
    assert one.command.startswith("iptables -t nat -A PREROUTING ")
    assert one.words.startswith("Every packet in PREROUTING goes on in KUBE-")


def test_endpoints_of_saved_text() -> None:
    seen = look.from_text("saved", (GOLDEN / "iptables.rules").read_text())
    shares = [row.share for row in look.list_rows(seen, "endpoints") if "app1" in row.service]  # type: ignore[union-attr]
    assert shares == ["33.3%"] * 3
    seen = look.from_text("saved", (GOLDEN / "userspace.rules").read_text())
    ends = look.list_rows(seen, "endpoints")
    assert {row.share for row in ends if isinstance(row, rows.EndpointRow)} == {"the proxy chooses"}


def test_endpoints_of_objects() -> None:
    obj = {
        "metadata": {"name": "app1", "namespace": "default"},
        "subsets": [
            {
                "addresses": [
                    {"ip": "10.244.1.2", "targetRef": {"name": "app1-1"}},
                    {"ip": "1.1.1.1"},
                ],
                "ports": [{"port": 8080, "name": "http"}, {"port": 81}],
            }
        ],
    }
    found = look.list_endpoints([obj, {"metadata": {"name": "x", "namespace": "y"}}])
    assert [(row.service, row.address, row.by) for row in found] == [
        ("default/app1:http", "10.244.1.2:8080", "app1-1"),
        ("default/app1:http", "1.1.1.1:8080", ""),
        ("default/app1", "10.244.1.2:81", "app1-1"),
        ("default/app1", "1.1.1.1:81", ""),
    ]


def test_one_round_trip_that_asks_only_for_its_layer() -> None:
    node = FakeNode(f"--- labkit conntrack\n{LINES}")
    seen = look.read(node, "conntrack")
    assert len(node.asked) == 1
    assert node.asked[0].startswith("WANTED='conntrack'\n")
    assert len(look.list_rows(seen, "conntrack")) == 3
    assert seen.trouble == ""


def test_what_cannot_be_read_is_said() -> None:
    node = FakeNode("--- labkit conntrack\n--- labkit failed conntrack 127\n")
    told = report.inspect_layer([look.read(node, "conntrack")], "conntrack")
    assert "could not read conntrack: sh: no conntrack" in repr(told)
    gone = FakeNode(error=errors.ConnectionFailed("sshd does not answer"))
    told = report.inspect_layer([look.read(gone, "rules")], "rules")
    assert "sshd does not answer" in repr(told)
    assert "no rules" in repr(told)


def test_sockets_facts_and_their_forms() -> None:
    node = FakeNode(
        '--- labkit sockets\ntcp LISTEN 0 4096 *:40193 *:* users:(("python3",pid=27,fd=3))\n'
        "--- labkit processes\n27 /usr/bin/python3 kube-proxy.pyz\n"
    )
    told = report.inspect_layer([look.read(node, "sockets")], "sockets")
    talks = FakeNode("--- labkit connections\n0 0 10.0.0.1:22 10.0.0.2:5\n")
    assert "10.0.0.2:5" in repr(
        report.inspect_layer([look.read(talks, "connections")], "connections")
    )
    facts = report.inspect_layer(
        [look.Look("node1", {"facts": "kernel Linux 6.18\nip_forward 1"})], "node"
    )
    for value, fact in ((told, "kube-proxy (python3, pid 27)"), (facts, "Linux 6.18")):
        assert fact in repr(value)
        assert fact in value._repr_html_()
        assert fact in str(value.to_json())
    assert told.to_json()["schema"] == "labkit.dev/layer-inspection"


def test_every_layer_has_a_section_of_the_script() -> None:
    assert look.WANTED.keys() == rows.LAYERS.keys() | {"service"}
    script = collect.look_script()
    for wanted in look.WANTED.values():
        for section in wanted.split():
            assert f"section {section} " in script or f"| {section})" in script


@pytest.mark.parametrize(
    ("layer", "fact"),
    [("rules", "goes on in KUBE-SERVICES"), ("chains", "every packet that arrives")],
)
def test_what_is_long_is_in_every_form(layer: str, fact: str) -> None:
    seen = look.from_text("saved", (GOLDEN / "iptables.rules").read_text())
    told = report.inspect_layer([seen], layer, chain="PREROUTING")
    assert fact in " ".join(repr(told).split())
    assert fact in told._repr_html_()
    assert fact in str(told.to_json())


def test_what_another_host_answers_raises_what_the_connection_raises() -> None:
    with pytest.raises(errors.ConnectionFailed):
        look.ask(FakeNode(error=errors.ConnectionFailed("gone")), "rules")
