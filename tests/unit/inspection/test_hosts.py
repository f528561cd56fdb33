"""A host over OpenSSH's client: the words that are typed, and how failures are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labkit import errors
from labkit.inspection import hosts


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for ssh: notes its words, then runs what the rest of the file says."""
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


def end(client: Path, text: str) -> None:
    client.write_text(client.read_text() + text)


def test_a_script_goes_to_the_shell_of_the_host(client: Path) -> None:
    end(client, "cat\n")
    host = hosts.Host("admin@node7", "my.conf")
    assert host.name == "node7"
    assert host.script("echo hello").stdout == "echo hello"
    words = (client.parent / "words").read_text().strip()
    assert words.startswith("-F my.conf -T -o BatchMode=yes -o ConnectTimeout=")
    assert words.endswith("-- admin@node7 sh -s")


def test_a_program(client: Path) -> None:
    assert hosts.Host("-oProxyCommand=evil").run(["true"]).exit_status == 0
    assert (client.parent / "words").read_text().endswith("-- -oProxyCommand=evil true\n")


def test_no_connection(client: Path) -> None:
    end(client, "echo 'Permission denied (publickey).' >&2; exit 255\n")
    with pytest.raises(errors.ConnectionFailed, match="Permission denied") as caught:
        hosts.Host("node7").script("true", check=False)
    assert "`ssh node7 true`" in caught.value.hint


def test_a_script_that_fails(client: Path) -> None:
    end(client, "echo oh >&2; exit 3\n")
    host = hosts.Host("node7")
    assert host.script("true", check=False).exit_status == 3
    with pytest.raises(errors.CommandFailed, match="oh"):
        host.script("true")
