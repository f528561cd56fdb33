"""The learner's own machine as a node: commands run here, and are recorded as of that node."""

from __future__ import annotations

import sys

import pytest

from labkit import errors
from labkit.model import commands
from labkit.ssh import pool


def make(log: commands.CommandLog) -> pool.Pool:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was to be reached over SSH")

    return pool.Pool(refuse, log, here=["client"])  # type: ignore[arg-type]


def test_a_command_runs_here_with_its_input_and_its_status() -> None:
    log = commands.CommandLog()
    text = "import sys; sys.stderr.write(sys.stdin.read()); sys.exit(41)"
    with make(log) as connections:
        done = connections.connection("client").run(
            [sys.executable, "-c", text], stdin="words", check=False
        )
    assert (done.exit_status, done.stdout, done.stderr, done.node) == (41, "", "words", "client")
    assert [each.node for each in log] == ["client"]


def test_a_program_that_is_not_here_ends_as_a_shell_has_it() -> None:
    with make(commands.CommandLog()) as connections:
        done = connections.connection("client").run(["/nowhere/curl"], check=False)
    assert (done.exit_status, done.stderr) == (127, "/nowhere/curl: No such file or directory\n")


def test_a_command_that_does_not_end_is_given_up() -> None:
    with (
        make(commands.CommandLog()) as connections,
        pytest.raises(errors.TimedOut, match=r"did not end within 0\.05 s"),
    ):
        connections.connection("client").run(["sleep", "60"], timeout_s=0.05)


def test_a_program_that_goes_on_here() -> None:
    text = "import sys; print('one', flush=True); print(sys.stdin.readline().upper(), end='')"
    log = commands.CommandLog()
    with (
        make(log) as connections,
        connections.connection("client").stream([sys.executable, "-c", text]) as stream,
    ):
        lines = stream.lines()
        assert next(lines) == "one"
        stream.say("two")
        assert list(lines) == ["TWO"]
    assert [each.node for each in log] == ["client"]


@pytest.mark.parametrize(
    ("argv", "kind", "words"),
    [
        (["sh", "-c", "echo gone >&2; exit 3"], errors.CommandFailed, "status 3: gone"),
        (["/nowhere/curl"], errors.ConnectionFailed, "the connection broke"),
    ],
)
def test_a_program_that_ends_badly_here(
    argv: list[str], kind: type[errors.LabkitError], words: str
) -> None:
    with make(commands.CommandLog()) as connections:
        stream = connections.connection("client").stream(argv)
        with pytest.raises(kind, match=words), stream as opened:
            list(opened.lines())
