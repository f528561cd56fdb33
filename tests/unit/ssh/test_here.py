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
