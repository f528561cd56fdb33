"""Facts: what one asks an API server, and what a stock one answered.

A file of tests/cases/stock is one conversation with a new server:

    {"about": "...",
     "steps": [{"ask": "POST /api/v1/namespaces/default/services",
                "body": {...},
                "answer": {"code": 201, "body": {...}}}, ...]}

A step may say `type` and `accept` (the headers), `events` (it is a watch: how many to await), and:

    later   {"release", "why", "answer"}: what a later release answers, as a merge patch of `answer`
    gap     where our server is known to answer otherwise: see `gaps`

`$0.metadata.uid` in a path or a body is the field of the first step's answer. What is different
each time (uids, versions, times, allocated addresses and ports) has a name in an answer: `<uid 3>`
is the uid that the answer of step 3 brought up. So identity is compared, too.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stock import releases

FOLDER = Path(__file__).parents[1] / "cases" / "stock"
#: The field manager of a client is the first word of its user agent.
AGENT = "facts"

#: Says that who manages which field matters; where it does not, the answers have it no more.
ALL = {"managedFields": True}

_REFERENCE = re.compile(r"\$(\d+)((?:\.\w+)+)")
_UID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ADDRESS = re.compile(r"\b10\.96\.\d+\.\d+\b")
_NODE_PORT = re.compile(r"\b3[0-2]\d{3}\b")
_PORT_FIELDS = ("nodePort", "healthCheckNodePort")
_SERVICES = ipaddress.ip_network("10.96.0.0/16")

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A request, ready to be sent."""

    method: str
    path: str
    body: Any
    content_type: str
    accept: str
    events: int


#: Sends it; the status code and the decoded body (of a watch: the list of its events).
Ask = Callable[[Question], tuple[int, Any]]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def save(name: str, case: Mapping[str, Any]) -> None:
    (FOLDER / f"{name}.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")


def replay(case: Mapping[str, Any], ask: Ask) -> list[Answer]:
    """Have the whole conversation; return what was answered, with names for what varies."""
    raw: list[Any] = []
    given = json.dumps([{k: step.get(k) for k in ("ask", "body")} for step in case["steps"]])
    renamer = _Renamer(given)
    answers = []
    for number, step in enumerate(case["steps"]):
        renamer.step = number
        code, body = ask(_question(step, raw))
        raw.append(body)
        answers.append({"code": code, "body": renamer.rename(_without_noise(body, case))})
    return answers


def expected(step: Mapping[str, Any]) -> Answer:
    """What a server of our release has to answer."""
    answer: Answer = releases.modernise(_without_noise(copy.deepcopy(step["answer"]), ALL))
    return releases.merge(answer, step["later"]["answer"]) if "later" in step else answer


def _question(step: Mapping[str, Any], raw: list[Any]) -> Question:
    filled = json.loads(_fill(json.dumps([step["ask"], step.get("body")]), raw))
    method, _, path = filled[0].partition(" ")
    return Question(
        method,
        path,
        filled[1],
        step.get("type", "application/json"),
        step.get("accept", "application/json"),
        step.get("events", 0),
    )


def _fill(text: str, raw: list[Any]) -> str:
    def find(match: re.Match[str]) -> str:
        value = raw[int(match[1])]
        for key in match[2].strip(".").split("."):
            if not isinstance(value, dict) or key not in value:
                return "missing"
            value = value[key]
        return str(value)

    return _REFERENCE.sub(find, text)


def _without_noise(body: Any, case: Mapping[str, Any]) -> Any:
    """Leave out what means nothing: a null, and the prose over a table's columns.

    Who manages which field is compared where a conversation is about that.
    """
    if isinstance(body, list):
        return [_without_noise(each, case) for each in body]
    if not isinstance(body, dict):
        return body
    left_out = set() if case.get("managedFields") else {"managedFields"}
    if "priority" in body and "format" in body:
        left_out.add("description")
    kept = {k: v for k, v in body.items() if k not in left_out and v is not None}
    return {k: _without_noise(v, case) for k, v in kept.items()}


class _Renamer:
    """Gives names to what varies. What the conversation itself says, it leaves as it is."""

    def __init__(self, given: str) -> None:
        self.step = 0
        self._given = given
        self._names: dict[tuple[str, str], str] = {}

    def rename(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            is_list = isinstance(value.get("items"), list) or "columnDefinitions" in value
            made = dict(self._generated(value))
            return {
                k: made[k] if k in made else self.rename(v, "list" if is_list else k)
                for k, v in value.items()
            } | ({"metadata": self._list_metadata(value["metadata"])} if is_list else {})
        if isinstance(value, list):
            return [self.rename(each, key) for each in value]
        if key == "resourceVersion":
            return self._name("version", str(value))
        if key in _PORT_FIELDS and str(value) not in self._given:
            return self._name("port", str(value))
        return self._rename_text(value) if isinstance(value, str) else value

    def _generated(self, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        prefix, name = value.get("generateName"), value.get("name")
        if prefix and name and name.startswith(prefix):
            yield "name", prefix + self._name("suffix", name.removeprefix(prefix))

    def _list_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A list is of a moment; between two servers these cannot be compared."""
        return {
            k: f"<{k}>" if k in ("resourceVersion", "continue") and v else v
            for k, v in metadata.items()
        }

    def _rename_text(self, text: str) -> str:
        text = _UID.sub(lambda found: self._unless_given("uid", found[0]), text)
        text = _TIME.sub(lambda found: self._unless_given("time", found[0], same=True), text)
        text = _NODE_PORT.sub(lambda found: self._unless_given("port", found[0]), text)
        return _ADDRESS.sub(lambda found: self._unless_given("address", found[0]), text)

    def _unless_given(self, what: str, value: str, *, same: bool = False) -> str:
        if value in self._given or value == str(_SERVICES[1]):
            return value
        return f"<{what}>" if same else self._name(what, value)

    def _name(self, what: str, value: str) -> str:
        if (what, value) not in self._names:
            name = f"{what} {self.step}"
            known = sum(each.startswith(f"<{name}") for each in self._names.values())
            self._names[what, value] = f"<{name}{'bcdefghijklmnop'[known - 1] if known else ''}>"
        return self._names[what, value]
