"""Where our server answers otherwise than a stock one: `python -m tests.stock.gaps` notes it again.

Each step of tests/cases/stock that differs gets a `gap`: the first difference, in words. The tests
hold the notes to be true both ways, so that what is mended is noticed, and what breaks, too. The
notes are a list of things to do: `git diff` shows whether it has become shorter.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.stock import facts

_WIDTH = 120


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Each place where two answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            if key not in ours:
                yield f"{path}.{key}: missing, theirs is {_short(theirs[key])}"
            elif key not in theirs:
                yield f"{path}.{key}: theirs has none, ours is {_short(ours[key])}"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif ours != theirs:
        yield f"{path}: ours is {_short(ours)}, theirs is {_short(theirs)}"


def note(name: str, answers: Callable[[str], list[facts.Answer]]) -> int:
    """Write the gaps of one conversation into its file; return how many there are."""
    case, count = facts.load(name), 0
    for step, ours in zip(case["steps"], answers(name), strict=True):
        step.pop("gap", None)
        for first in differences(ours, facts.expected(step)):
            step["gap"] = first
            count += 1
            break
    facts.save(name, case)
    return count


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def main() -> int:
    from tests.unit.apiserver import test_stock_facts

    for name in facts.names():
        count = note(name, test_stock_facts.answers)
        sys.stdout.write(f"{count:4} of {len(facts.load(name)['steps']):4} {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
