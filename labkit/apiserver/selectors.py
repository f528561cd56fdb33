"""Label and field selectors: `app in (a, b),tier!=db,!canary` and `status.phase=Running`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import status

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<values>{_VALUE})")
_ORDER = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>[<>])\s*(?P<values>[+-]?[0-9]+)")
_EXISTS = re.compile(rf"(?P<operator>!?)\s*(?P<key>{_KEY})")
#: Commas between requirements, but not those within parentheses.
_COMMA = re.compile(r",(?![^(]*\))")


_ORDERED = ("<", ">")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `operator` is `in`, `notin`, `exists`, `absent`, `>` or `<`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        if self.operator == "in":
            return present and labels[self.key] in self.values
        if self.operator == "notin":
            return not present or labels[self.key] not in self.values
        if self.operator in _ORDERED:
            return present and self._compares(labels[self.key])
        return present if self.operator == "exists" else not present

    def _compares(self, value: str) -> bool:
        """Both are taken as numbers; what is none is neither more nor less."""
        (limit,) = map(int, self.values)
        if not re.fullmatch("[+-]?[0-9]+", value):
            return False
        return int(value) > limit if self.operator == ">" else int(value) < limit


Selector = tuple[Requirement, ...]


def parse_labels(text: str) -> Selector:
    """Raises ApiError 400 for what is not a selector.

    >>> parse_labels("app=web,!old")[1].operator
    'absent'
    """
    parts = [part.strip() for part in _COMMA.split(text)] if text.strip() else []
    return tuple(_parse_requirement(part) for part in parts)


def _parse_requirement(part: str) -> Requirement:
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], found["operator"], values)
    if found := _EQUAL.fullmatch(part):
        operator = "notin" if found["operator"] == "!=" else "in"
        return Requirement(found["key"], operator, frozenset([found["values"]]))
    if found := _ORDER.fullmatch(part):
        return Requirement(found["key"], found["operator"], frozenset([found["values"]]))
    if found := _EXISTS.fullmatch(part):
        return Requirement(found["key"], "absent" if found["operator"] else "exists")
    raise status.bad_request(f"unable to parse requirement: {_explain(part)}")


def _explain(part: str) -> str:
    """What was found, and what a selector would have had in its place.

    >>> _explain("a b c")
    "found 'b', expected: '=', '!=', '==', 'in', notin'"
    """
    words = part.split()
    if not words:
        return "found '', expected: !, identifier, or 'end of string'"
    if len(words) > 1 and words[1] in ("in", "notin"):
        return f"found '{words[2] if len(words) > 2 else ''}', expected: '('"
    if len(words) > 1:
        return f"found '{words[1]}', expected: '=', '!=', '==', 'in', notin'"
    return f"found '{part}', expected: !, identifier, or 'end of string'"


#: The operators of a LabelSelector's matchExpressions, by our names.
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def read_selector(selector: Mapping[str, Any]) -> Selector:
    """Read a LabelSelector as ReplicaSets have it; unknown operators match nothing.

    >>> render_selector(read_selector({"matchLabels": {"app": "web"}}))
    'app=web'
    """
    pairs = (selector.get("matchLabels") or {}).items()
    equal = [Requirement(key, "in", frozenset([value])) for key, value in sorted(pairs)]
    sets = [
        Requirement(
            item.get("key", ""),
            _OPERATORS.get(item.get("operator", ""), "in"),
            frozenset(item.get("values") or []),
        )
        for item in selector.get("matchExpressions") or []
    ]
    return (*equal, *sets)


def render_selector(selector: Selector) -> str:
    """A selector as people write it: `app=web,tier notin (db)`."""
    return ",".join(_render_requirement(requirement) for requirement in selector)


def _render_requirement(requirement: Requirement) -> str:
    key, values = requirement.key, sorted(requirement.values)
    if requirement.operator in ("exists", "absent"):
        return key if requirement.operator == "exists" else f"!{key}"
    if requirement.operator == "in" and len(values) == 1:
        return f"{key}={values[0]}"
    if requirement.operator in _ORDERED:
        return f"{key}{requirement.operator}{values[0]}"
    return f"{key} {requirement.operator} ({','.join(values)})"


def match_labels(selector: Selector, labels: Mapping[str, str] | None) -> bool:
    return all(requirement.matches(labels or {}) for requirement in selector)


def equal_labels(wanted: Mapping[str, str], labels: Mapping[str, str] | None) -> bool:
    """True when every pair of a Service's or node selector is among the labels."""
    have = labels or {}
    return all(have.get(key) == value for key, value in wanted.items())


@dataclass(frozen=True, slots=True)
class FieldTerm:
    field: str
    value: str
    negated: bool = False


def parse_fields(text: str, supported: Callable[[str], bool]) -> tuple[FieldTerm, ...]:
    """Raises ApiError 400 for a field that the kind cannot be selected by.

    >>> parse_fields("status.phase!=Running", lambda name: True)
    (FieldTerm(field='status.phase', value='Running', negated=True),)
    """
    return tuple(_parse_term(part, supported) for part in text.split(",") if part)


def _parse_term(part: str, supported: Callable[[str], bool]) -> FieldTerm:
    found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
    if not found:
        raise status.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    name, operator, value = found.groups()
    if not supported(name):
        raise status.bad_request(f"field label not supported: {name}")
    return FieldTerm(name, value, operator == "!=")


def match_fields(terms: tuple[FieldTerm, ...], fields: Mapping[str, str]) -> bool:
    return all((fields.get(term.field, "") == term.value) != term.negated for term in terms)
