"""The script that listens on each node, seen from here: begun, asked, ended."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from labkit import errors
from labkit.inspection import collect, scripts
from labkit.inspection.trace import arming, joining

_ENDED = json.dumps({"trouble": "it ended before it said anything"})


def on_node(*words: str) -> tuple[str, ...]:
    """The command that runs the script there."""
    return scripts.argv(Path(__file__).with_name("on_node.py"), *words)


class Listener:
    """One node's. `trouble` says why it does not listen; it is empty when it does."""

    def __init__(self, connection: collect.Streams, name: str, rules: Sequence[str]) -> None:
        """Return when it listens, or never will."""
        self.node = connection.name
        self.trouble = ""
        self._asked_at = 0.0
        self._end = contextlib.ExitStack()
        try:
            argv = on_node(name, str(arming.LASTS_S), *rules)
            self._stream = self._end.enter_context(connection.stream(argv))
            self._lines: Iterator[str] = self._stream.lines()
            self.trouble = json.loads(next(self._lines, _ENDED)).get("trouble", "")
        except errors.LabkitError as error:
            self.trouble = error.message

    def ask(self, source_port: int, protocol: str) -> None:
        """Ask what it heard, and what else the node knows of the request from that port."""
        if not self.trouble:
            self._asked_at = time.time()
            self._stream.say(f"{source_port} {protocol.lower()}")

    def told(self) -> joining.Told:
        """The answer."""
        if self.trouble:
            return joining.Told(self.node, trouble=self.trouble)
        line = next(self._lines, _ENDED)
        return parse_told(self.node, line, self._asked_at, time.time())

    def close(self) -> None:
        """Return when its rules are gone."""
        with contextlib.suppress(errors.LabkitError):
            self._end.close()


def parse_told(node: str, line: str, asked_at: float, told_at: float) -> joining.Told:
    """What the script printed, asked and answered at these times by our clock."""
    told = json.loads(line)
    if "trouble" in told:
        return joining.Told(node, trouble=told["trouble"])
    journal = told["journal"]
    return joining.Told(
        node,
        tuple((float(when), str(line)) for when, line in told["heard"]),
        () if isinstance(journal, str) else tuple(journal),
        tuple(told["conntrack"]),
        f"kube-proxy's journal: {journal}" if isinstance(journal, str) else "",
        # A clock that stood between the two may be as right as ours.
        0.0 if asked_at <= told["now"] <= told_at else told["now"] - asked_at,
    )
