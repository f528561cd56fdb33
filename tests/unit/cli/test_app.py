"""The command as a whole: its help, its variables, its completion, what it imports."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

import labkit
from labkit.cli import app
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_help_lists_every_verb_under_its_subject(run: Run) -> None:
    for args in ((), ("--help",), ("-h",)):
        done = run(*args)
        assert done.exit_code == 0
        assert [heading for heading in app.VERBS if f"{heading}:\n" in done.stdout] == [*app.VERBS]
        assert all(verb in done.stdout for verb in app.SUMMARIES)


@pytest.mark.parametrize("verb", app.SUMMARIES)
def test_every_verb_has_a_command_whose_help_begins_with_examples(run: Run, verb: str) -> None:
    done = run(verb, "--help")
    assert done.exit_code == 0
    assert "--name LAB" in done.stdout
    if verb != "version":
        before_options = done.stdout.partition("Options:")[0]
        assert f"    labkit {verb}" in before_options or f'"$(labkit {verb}' in before_options


def test_an_unknown_verb_is_named_with_the_one_that_was_meant(run: Run) -> None:
    done = run("inspekt")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "LK-USAGE there is no verb 'inspekt'; did you mean 'inspect'?" in done.stderr


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"labkit, version {labkit.__version__}\n"
    assert run("version").stdout == f"labkit {labkit.__version__}\n"
    assert '"schema": "labkit.dev/version"' in run("version", "-o", "json").stdout


def test_every_option_is_a_variable_and_the_flag_wins(run: Run, world: FakeWorld) -> None:
    run("up", env={"LABKIT_UP_WORKERS": "3", "LABKIT_TIMEOUT": "2m"})
    assert world.overrides == {"nodes.workers": 3}
    assert world.lab.asked == [("up", True, 120.0)]
    run("up", "--workers", "1", env={"LABKIT_UP_WORKERS": "3"})
    assert world.overrides == {"nodes.workers": 1}


def test_the_lab_is_named_by_a_flag_or_a_variable(run: Run, world: FakeWorld) -> None:
    run("status", env={"LABKIT_NAME": "other"})
    assert world.lab.spec.name == "other"
    run("status", "--name", "third", env={"LABKIT_NAME": "other"})
    assert world.lab.spec.name == "third"


def test_version_is_no_variable(run: Run) -> None:
    assert "version" not in run("ls", env={"LABKIT_VERSION": "1"}).stdout


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), ("1.5s", 1.5), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600)]
)
def test_durations(run: Run, world: FakeWorld, text: str, seconds: float) -> None:
    run("up", "--timeout", text)
    assert world.lab.asked == [("up", True, seconds)]


def test_a_wrong_duration_says_what_one_looks_like(run: Run) -> None:
    done = run("up", "--timeout", "soon")
    assert done.exit_code == 2
    assert "'soon' is not a duration such as 30s, 500ms or 2m" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert "_LABKIT_COMPLETE" in done.stdout


def complete(*words: str) -> list[str]:
    """What the shell is offered for the last word; the world is the real one."""
    from click.shell_completion import ShellComplete

    done = ShellComplete(app.labkit, {}, "labkit", "_LABKIT_COMPLETE")
    *args, incomplete = words
    return [item.value for item in done.get_completions(args, incomplete)]


def test_verbs_and_kinds_complete() -> None:
    assert complete("s") == ["status", "ssh", "ssh-config", "start", "stop", "snapshot"]
    assert complete("get", "services") == ["services"]


def test_nodes_complete_from_the_lab_file_before_any_lab_is_up(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(os.environ["XDG_STATE_HOME"])
    assert complete("ssh", "n") == ["node1", "node2"]
    assert complete("ssh", "--name", "a/b", "n") == []


def test_a_target_completes_as_far_as_the_lab_answers(home: object) -> None:
    assert complete("exec", "c") == ["control", "client"]


def test_labs_complete(home: object) -> None:
    from labkit import paths

    spec = paths.of("left").spec
    spec.parent.mkdir(parents=True)
    spec.touch()
    assert complete("status", "--name", "l") == ["left"]


@pytest.mark.parametrize(
    "typed", [["--help"], ["version"], ["up", "--help"], ["completion", "fish"]]
)
def test_little_is_imported_to_say_little(typed: list[str]) -> None:
    heavy = "paramiko rich yaml cryptography msgspec starlette labkit.lab labkit.ssh"
    script = f"""
import sys
from labkit.cli import app
try:
    app.labkit({typed!r}, prog_name="labkit")
except SystemExit:
    print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_a_reader_that_goes_away_is_no_reason_to_complain() -> None:
    script = "from labkit import cli; cli.main()"
    read, write = os.pipe()
    os.close(read)
    try:
        argv = [sys.executable, "-c", script, "--help"]
        done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


def test_no_option_of_a_verb_is_a_verbs_surprise() -> None:
    """Shared options mean the same everywhere, and none hides another."""
    ctx = click.Context(app.labkit)
    for verb in app.SUMMARIES:
        command = app.labkit.get_command(ctx, verb)
        assert command is not None
        flags = [flag for param in command.params for flag in param.opts if flag.startswith("-")]
        assert len(flags) == len(set(flags)), verb
