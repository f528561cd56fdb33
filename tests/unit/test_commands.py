"""The record of commands: each can be typed again, and the log stays small."""

from __future__ import annotations

from labkit.model import commands


def test_a_command_as_it_would_be_typed() -> None:
    argv = ("sh", "-c", "echo 'a b'")
    assert commands.Command(argv).line == """sh -c 'echo '"'"'a b'"'"''"""
    assert commands.Command(("ip", "link"), node="node1").line == "labkit exec node1 -- ip link"


def test_the_log_keeps_the_last() -> None:
    log = commands.CommandLog()
    assert repr(log) == "no command has run yet"
    for number in range(commands.KEPT + 3):
        log.add(commands.Command((str(number),)))
    assert len(log) == commands.KEPT
    lines = [command.line for command in log]
    assert (lines[0], lines[-1]) == ("3", str(commands.KEPT + 2))
    assert repr(log).splitlines() == lines


def test_the_log_can_grow_while_it_is_read() -> None:
    log = commands.CommandLog()
    log.add(commands.Command(("a",)))
    for command in log:
        log.add(command)
    assert len(log) == 2
