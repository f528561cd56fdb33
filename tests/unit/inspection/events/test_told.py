"""What a node tells line by line, and how it reads what its kernel announces."""

from __future__ import annotations

import html
import json
import re
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.inspection.events import on_node, told

RULE = "-A KUBE-PORTALS-HOST -d 10.96.0.1/32 -j DNAT --to-destination 192.168.56.11:34499"
RECORD = {
    "client": "192.168.56.11:54538",
    "servicePort": "default/app1",
    "destination": "10.96.77.19:8080",
    "way": "clusterIP",
    "clientIs": "host",
    "pod": "app1-3",
    "endpoint": "10.244.1.3:8080",
    "chosenBy": "round robin",
    "position": 2,
    "of": 3,
    "outcome": "client closed",
    "bytesUp": 80,
    "bytesDown": 407,
    "monotonic": {"began": 10.0, "connected": 10.001, "ended": 10.0056},
}


def parse(**line: Any) -> list[tuple[str, str, str, str]]:
    return [
        (one.kind, one.verb, one.name, one.text)
        for one in told.parse("node1", json.dumps({"when": 1.0, **line}))
    ]


def test_rules_that_went_are_told_before_those_that_came() -> None:
    found = parse(by="iptables-restor", added=[["nat", RULE]], removed=[["filter", "-A INPUT"]])
    assert found == [
        ("rule", "removed", "filter INPUT", "by iptables-restor"),
        (
            "rule",
            "added",
            "nat KUBE-PORTALS-HOST",
            "-d 10.96.0.1/32 -j DNAT --to-destination 192.168.56.11:34499, by iptables-restor",
        ),
    ]


def test_an_event_says_the_same_in_a_line_and_in_a_notebook() -> None:
    line = json.dumps({"when": 3723.5, "by": "iptables", "added": [["nat", RULE]]})
    [one] = told.parse("node1", line)
    shown = html.unescape(re.sub("<[^>]*>", " ", one._repr_html_()))
    rest = RULE.removeprefix("-A KUBE-PORTALS-HOST ")
    for fact in (
        "01:02:03.500",
        "node1",
        "rule",
        "added",
        "nat KUBE-PORTALS-HOST",
        rest,
        "iptables",
    ):
        assert fact in shown
        assert fact in repr(one)
    assert "\n" not in repr(one)


def test_a_connection_from_its_beginning_to_its_end() -> None:
    client = RECORD["client"]
    assert [parse(journal={"event": name, "record": RECORD}) for name in told.VERBS] == [
        [
            (
                "connection",
                "began",
                client,
                "asks default/app1 at 10.96.77.19:8080 (clusterIP, sent by host)",
            )
        ],
        [
            (
                "connection",
                "connected",
                client,
                "goes on to app1-3 at 10.244.1.3:8080 by round robin, 2 of 3",
            )
        ],
        [
            (
                "connection",
                "ended",
                client,
                "client closed after 5.6 ms; 80 bytes there, 407 back",
            )
        ],
    ]


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    record = RECORD | {"way": None, "destination": None, "pod": "", "position": None}
    [(*_, began)] = parse(journal={"event": "began", "record": record})
    assert began == "asks default/app1 at an address that nobody knows"
    [(*_, connected)] = parse(journal={"event": "connected", "record": record})
    assert connected == "goes on to an endpoint at 10.244.1.3:8080 by round robin"


def test_the_line_that_says_that_all_is_heard() -> None:
    assert told.is_ready('{"ready": true}')
    assert not told.is_ready('{"when": 1.0, "added": []}')
    assert parse(ready=True) == []


# --- on the node ---------------------------------------------------------------------------------


def message(kind: int, *attributes: tuple[int, bytes]) -> bytes:
    """A netlink message as <linux/netlink.h> lays it out."""
    body = b"\2\0\0\0"
    for number, value in attributes:
        body += struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_the_program_is_in_the_message_that_ends_a_change() -> None:
    rule = message(10 << 8 | 6, (1, b"nat\0"))
    end = message(on_node.NEWGEN, (1, b"\0\0\0\7"), (2, b"\0\0\0\1"), (3, b"iptables-restor\0"))
    assert on_node.parse_program(rule + end) == "iptables-restor"
    assert on_node.parse_program(rule) == ""


@given(st.binary(max_size=200))
def test_whatever_was_announced_it_goes_on(data: bytes) -> None:
    assert isinstance(on_node.parse_program(data), str)
