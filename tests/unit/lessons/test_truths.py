"""What a prediction is compared with, read out of what a cell has seen."""

from __future__ import annotations

import pytest

from labkit import errors
from labkit.inspection import answers
from labkit.lessons import truths


def test_a_held_connection_goes_on_or_ends() -> None:
    assert truths.read("connection", answers.Answer(pod="app1-1")) == "goes on"
    assert truths.read("connection", answers.Answer(error="reset by peer")) == "ends"


@pytest.mark.parametrize("name", truths.TRUTHS)
def test_what_cannot_be_graded_says_what_can(name: str) -> None:
    with pytest.raises(errors.UsageError, match="this question is graded by a") as caught:
        truths.read(name, "something else")
    assert (
        "lab.inspect" in caught.value.hint
        or "lab.probe" in caught.value.hint
        or ("held.ask" in caught.value.hint)
    )


def test_a_truth_that_nobody_can_read() -> None:
    with pytest.raises(errors.ConfigError, match="no truth 'chian'") as caught:
        truths.read("chian", None)
    assert "chain" in caught.value.hint
