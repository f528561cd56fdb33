"""What the TOML of a lesson may say. Fields are its keys; a wrong one is named with its place.

title = "The example Service"
minutes = 15
goals = ["say what port, targetPort and nodePort are"]
checkpoint = "example"             # nothing, pods or example: what the lab holds at the start
objects = \"\"\"...\"\"\"               # more objects for the start, as YAML

[[question]]
id = "chain"
text = "Which chain will catch the request?"
answers = [["KUBE-PORTALS-HOST", "the one for a clusterIP, from the host"], ...]
truth = "chain"                    # see labkit.lessons.truths
why = "What a process sends passes OUTPUT, and ..."

[[check]]
id = "service"
kind = "object"                    # or absent, endpoints, request, node, fault
...                                # what that kind asks for: see labkit.lessons.checks
nudge = "Read the Service once more."
near = "`labkit kubectl edit service app1`, then change `targetPort`."

[solution]
objects = \"\"\"...\"\"\"               # applied, as YAML
delete = ["service/app1"]
run = [["node1", "ip", "route"]]   # a machine or a pod, and a program with its arguments
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from labkit import errors

CheckpointName = Literal["nothing", "pods", "example"]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One to commit to before the request is sent. `answers` are (value, words) pairs."""

    id: Words
    text: Words
    answers: tuple[tuple[str, str], ...]
    truth: Words
    why: Words


class _Check(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", kw_only=True
):
    """What all kinds say. `within` is in seconds: for so long a check waits for what it expects."""

    id: Words
    nudge: Words
    near: Words = ""
    within: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0


class ObjectCheck(_Check, frozen=True, tag="object", kw_only=True):
    """An object holds these values, by dotted path: `spec.ports.0.port`."""

    object: Words
    holds: dict[str, Any] = {}


class AbsentCheck(_Check, frozen=True, tag="absent", kw_only=True):
    """There is no such object."""

    object: Words


class EndpointsCheck(_Check, frozen=True, tag="endpoints", kw_only=True):
    """A Service has so many ready endpoints."""

    service: Words
    count: Annotated[int, msgspec.Meta(ge=0)]


class RequestCheck(_Check, frozen=True, tag="request", kw_only=True):
    """Requests to a Service are answered (or not), by at least so many pods."""

    service: Words
    sender: str = ""
    via: str = "cluster-ip"
    port: str = ""
    node: str = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    answered: bool = True
    pods: int = 0


class NodeCheck(_Check, frozen=True, tag="node", kw_only=True):
    """What a program prints on a machine or in a pod matches a regular expression (or does not)."""

    on: Words
    run: tuple[str, ...]
    prints: Words
    wanted: bool = True
    means: Words


class FaultCheck(_Check, frozen=True, tag="fault", kw_only=True):
    """The lab's hidden fault has been rightly named, and requests are answered again."""


Check = ObjectCheck | AbsentCheck | EndpointsCheck | RequestCheck | NodeCheck | FaultCheck


class Solution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps that do a lesson's task: deletions first, then objects, then programs.

    With `fault`, the hidden fault is named and undone.
    """

    fault: bool = False
    objects: str = ""
    delete: tuple[str, ...] = ()
    run: tuple[tuple[str, ...], ...] = ()


class LessonFile(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"questions": "question", "checks": "check"},
):
    title: Words
    minutes: Annotated[int, msgspec.Meta(ge=1, le=60)]
    goals: tuple[Words, ...]
    checkpoint: CheckpointName
    objects: str = ""
    questions: tuple[Question, ...] = ()
    checks: tuple[Check, ...] = ()
    solution: Solution = Solution()


def read(path: Path) -> LessonFile:
    """Raises ConfigError that names the file, the place, and what is wrong there."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), LessonFile)
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(f"{path} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise errors.ConfigError(
            f"{path}: {error}", hint="labkit/lessons/grammar.py shows all that can be said"
        ) from error
