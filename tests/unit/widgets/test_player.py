"""The player shows every hop of a trace, one at a time, with the words of the text form."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace
from typing import Any, cast

from labkit.inspection.predict import asking
from labkit.inspection.trace import joining, report, verdict
from labkit.widgets import player

STEP = joining.Step("nat", "KUBE-NODEPORT-CONTAINER", "ACCEPT", "-A X -j <Y>", "is turned <away>")
HOPS = (
    joining.Hop("client", 0.0, "sends"),
    joining.Hop("node2", 1.5, "the first packet comes", (STEP,)),
    joining.Hop("client", None, "has the answer"),
)


def a_trace(failed: verdict.Verdict | None = None) -> report.Trace:
    dialled = "192.168.56.12:30062"
    return report.Trace("default/app1", "client", dialled, "TCP", "curl", HOPS, (), failed)


def a_lab(asked: list[asking.Request]) -> Any:
    def trace(request: asking.Request) -> report.Trace:
        asked.append(request)
        return a_trace()

    return SimpleNamespace(trace=trace, spec=SimpleNamespace(nodes=(), cluster=()))


def test_each_hop_is_a_step_and_a_mark_in_the_lanes() -> None:
    drawn = player.draw_player(a_trace())
    assert re.findall(r'data-step="(\d+)"', drawn) == ["0", "1", "2"]
    assert re.findall(r'data-mark="(\d+)"', drawn) == ["0", "1", "2"]
    assert "1.5 ms after its first packet" in drawn
    assert "is turned &lt;away&gt;" in drawn
    assert "-A X -j &lt;Y&gt;" in drawn


def test_it_asks_as_the_form_says() -> None:
    asked: list[asking.Request] = []
    made = player.Player(cast(Any, a_lab(asked)))
    made.act("send", sender="client", via="node-port", node="node2").result(10)
    assert asked == [asking.Request("app1", sender="client", via="node-port", node="node2")]
    assert made.said == "answered, in 3 hops"
    assert "hop by hop" in repr(made)
    made.close()


def test_the_form_is_set_to_ask_for_the_trace_that_is_played() -> None:
    request = asking.Request("app1", sender="pod/app1-1", via="node-port", node="node2")
    again = dataclasses.replace(a_trace(), request=request)
    made = player.Player(cast(Any, a_lab([])), trace=again)
    assert chosen(made) == {"sender": "pod/app1-1", "via": "node-port", "node": "node2"}
    assert ("pod/app1-1", "pod app1-1") in made.controls[0]["options"]
    made.close()


def chosen(made: player.Player) -> dict[str, str]:
    return {each["name"]: each["value"] for each in made.controls if "name" in each}


def test_a_trace_that_is_there_is_played_without_sending() -> None:
    asked: list[asking.Request] = []
    failed = a_trace(verdict.Verdict("node2", "nobody listens"))
    made = player.Player(cast(Any, a_lab(asked)), trace=failed)
    assert asked == []
    assert chosen(made) == {"sender": "client", "via": "node-port", "node": ""}
    assert "it ended at node2. Likely because nobody listens" in made.said
    made.close()
