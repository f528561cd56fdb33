"""A whole set in words; what has no words is named in front."""

from __future__ import annotations

from labkit.inspection.explain import ruleset
from labkit.model import ruletext

TEXT = """\
*filter
:INPUT DROP [0:0]
:KUBE-FORWARD - [0:0]
:mine - [0:0]
[3:180] -A INPUT -j mine
[0:0] -A mine -m magic --spell 1 -j ACCEPT
COMMIT
"""


def test_counters_purposes_and_what_is_not_known() -> None:
    told = ruleset.explain_ruleset(ruletext.parse_ruleset(TEXT), name="saved")
    first = told.chains[0]
    assert (first.policy, first.rules[0].packets, first.rules[0].bytes) == ("DROP", 3, 180)
    assert [chain.purpose for chain in told.chains][2] == ""
    assert told.unknown == ("-A mine -m magic --spell 1 -j ACCEPT",)
    assert "saved: 2 rules in 3 chains" in repr(told)
    assert "no words for all of: -A mine" in repr(told)
    assert "goes on in mine" in told._repr_html_()
    assert told.to_json()["schema"] == "labkit.dev/ruleset-explanation"


def test_only_one_chain() -> None:
    told = ruleset.explain_ruleset(ruletext.parse_ruleset(TEXT), chain="mine")
    assert [chain.name for chain in told.chains] == ["mine"]
