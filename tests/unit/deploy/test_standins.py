"""What stands in for modules of the standard library, in a process of its own each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from labkit.deploy import archive


def run(script: str) -> list[str]:
    """What it prints, with the stand-ins in place."""
    folder = Path(archive.__file__).parent
    begin = f"import sys; sys.path.insert(0, {str(folder)!r}); import standins; standins.install()"
    argv = [sys.executable, "-I", "-S", "-c", f"{begin}\n{script}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_words_of_typing_mean_nothing_and_a_named_tuple_is_one() -> None:
    script = """
import sys
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar

T = TypeVar("T")
Verdict = Literal["yes", "no"]

class Says(Protocol):
    def say(self) -> Verdict: ...

@dataclass(frozen=True, slots=True)
class Box(Generic[T]):
    "A box."
    kind: ClassVar[str] = "box"
    content: T | None = None

class Pair(NamedTuple):
    left: int
    right: Any

Boxes = dict[str, Box[int] | None]
print([field.name for field in fields(Box)], Box(3), Pair(1, right=2).right)
print(type(sys.modules["typing"]).__name__)
"""
    assert run(script) == ["['content'] Box(content=3) 2", "StandIn"]


def test_what_a_stand_in_lacks_is_the_real_module_s() -> None:
    script = """
import sys, inspect, typing
both = inspect, typing
print(inspect.isfunction(print), typing.get_args(dict[int, str]))
print(sys.modules["inspect"] in both, sys.modules["typing"] in both)
"""
    assert run(script) == ["False (<class 'int'>, <class 'str'>)", "False False"]


def test_what_fails_is_logged_with_its_traceback() -> None:
    script = """
import logging
logging.basicConfig(stream=sys.stdout)
try:
    [][0]
except IndexError:
    logging.exception("a callback failed")
"""
    said = run(script)
    assert said[:2] == ["ERROR:root:a callback failed", "Traceback (most recent call last):"]
    assert said[-1] == "IndexError: list index out of range"
