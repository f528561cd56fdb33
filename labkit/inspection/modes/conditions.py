"""What a door's rule asks besides where the packet goes: the rest of its matches, in words."""

from __future__ import annotations

from labkit.inspection.explain import rule
from labkit.model import rules

#: Options that say where a packet goes, and whose the rule is: the door itself.
PLACE = frozenset({"-d", "-p", "--dport", "--comment"})


def conditions_of(each: rules.Rule) -> str:
    """`comes from 10.0.0.1 and is ...`; empty where nothing else is asked."""
    return " and ".join(
        rule.explain_option(match.module, option).words
        for match in each.matches
        for option in match.options
        if option.flag not in PLACE
    )
