"""The error tree: every kind has an id of its own and a documented exit code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit import errors


def kinds(base: type[errors.LabkitError]) -> Iterator[type[errors.LabkitError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def test_ids_are_unique_and_exit_codes_documented() -> None:
    found = [kind for kind in kinds(errors.LabkitError) if kind.__module__ == errors.__name__]
    ids = [kind.id for kind in found]
    assert len(ids) == len(set(ids))
    assert all(id_.startswith("LK-") for id_ in ids)
    assert {kind.exit_code for kind in found} <= {1, 2, 4, 5, 6, 7}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in found)


def test_an_error_says_where() -> None:
    assert str(errors.ProviderError("no room")) == "no room"
    assert str(errors.ProviderError("no room", node="node1")) == "node1: no room"


def test_a_failed_command_keeps_its_last_lines() -> None:
    stderr = "".join(f"line {i}\n" for i in range(9))
    error = errors.CommandFailed(["ip", "link"], 2, stderr, node="node1")
    assert str(error).startswith("node1: `ip link` ended with status 2: line 4\n")
    assert str(error).endswith("line 8")
    assert (error.argv, error.exit_status) == (("ip", "link"), 2)
    assert str(errors.CommandFailed(["false"], 1, "")) == "`false` ended with status 1"


def test_a_syntax_error_names_its_line() -> None:
    error = errors.RuleSyntaxError("what is -Z?", line=7)
    assert (str(error), error.line) == ("line 7: what is -Z?", 7)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (422, errors.Invalid),
        (403, errors.ApiError),
        (500, errors.ApiError),
    ],
)
def test_a_refusal_becomes_the_class_of_its_status(
    status: int, kind: type[errors.ApiError]
) -> None:
    error = errors.api_error(status, {"message": "no"})
    assert type(error) is kind
    assert (str(error), error.status, error.body) == ("no", status, {"message": "no"})


def test_a_refusal_without_words_still_says_something() -> None:
    assert str(errors.api_error(502, {})) == "the API server answered 502"
