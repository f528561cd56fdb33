"""How commands end: ids, words, exit statuses, JSON, tracebacks, reports of faults."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import click
import pytest

from labkit import errors, paths
from labkit.cli import failures
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld

DISK_FULL = OSError(errno.ENOSPC, "No space left on device", "/var/x")


@pytest.mark.parametrize(
    ("error", "id_", "code"),
    [
        (errors.ConfigError("m"), "LK-CONFIG", 2),
        (errors.NothingMatched("m"), "LK-NOTHING-MATCHED", 4),
        (errors.NotSupported("m"), "LK-NOT-SUPPORTED", 5),
        (errors.TimedOut("m"), "LK-TIMED-OUT", 6),
        (errors.Busy("m"), "LK-BUSY", 7),
        (errors.ConnectionFailed("m"), "LK-CONNECTION", 1),
        (click.UsageError("m"), "LK-USAGE", 2),
        (KeyboardInterrupt(), "LK-INTERRUPTED", 130),
        (click.Abort(), "LK-INTERRUPTED", 130),
        (DISK_FULL, "LK-DISK-FULL", 1),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "LK-NOT-PERMITTED", 5),
        (OSError(errno.EIO, "broken"), "LK-INTERNAL", 10),
        (KeyError("x"), "LK-INTERNAL", 10),
    ],
)
def test_every_end_has_an_id_and_a_status(
    home: Path, error: BaseException, id_: str, code: int
) -> None:
    failure = failures.explain(error, "up")
    assert (failure.id, failure.exit_status) == (id_, code)


def test_a_full_disk_is_named(home: Path) -> None:
    for place, error in {
        "/copy": OSError(errno.ENOSPC, "no room", "/original", None, "/copy"),
        "/var/x": DISK_FULL,
        str(paths.state_root()): OSError(errno.EDQUOT, "no room"),
    }.items():
        assert failures.explain(error, "up").message.endswith(f" for {place}")


def test_a_failure_says_what_where_and_what_to_try(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.ConnectionFailed(
        "sshd does not answer", node="node2", hint="labkit up"
    )
    world.lab.raises.add_note("it answered 3 s ago")
    done = run("status")
    assert done.stdout == ""
    assert done.stderr == (
        "LK-CONNECTION node2: sshd does not answer\nit answered 3 s ago\ntry: labkit up\n"
    )


def test_a_failure_is_json_where_the_result_would_be(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.Busy("somebody works on it", hint="wait")
    for args in (["-o", "json"], ["--events", "json"]):
        done = run("down", *args)
        assert done.exit_code == 7
        said = json.loads(done.stderr)
        assert (said["id"], said["exit_status"], said["hint"]) == ("LK-BUSY", 7, "wait")
    assert json.loads(run("up", "-o", "json", "--workers", "x").stderr)["id"] == "LK-USAGE"


@pytest.mark.parametrize(
    ("verb", "hint"),
    [("up", "`labkit up` goes on"), ("down", "`labkit down` goes"), ("status", "`labkit status`")],
)
def test_ctrl_c_says_that_all_is_well_and_what_to_type(
    run: Run, world: FakeWorld, verb: str, hint: str
) -> None:
    world.lab.raises = KeyboardInterrupt()
    done = run(verb)
    assert done.exit_code == 130
    assert "LK-INTERRUPTED interrupted; the lab is consistent" in done.stderr
    assert f"try: {hint}" in done.stderr


def test_a_fault_leaves_a_report_and_no_traceback(run: Run, world: FakeWorld) -> None:
    world.lab.raises = ZeroDivisionError("oh")
    done = run("status")
    assert done.exit_code == 10
    assert "Traceback" not in done.stderr
    (report,) = (paths.state_root() / failures.REPORTS).iterdir()
    assert str(report) in done.stderr
    assert "ZeroDivisionError: oh" in report.read_text()
    assert paths.lab_names() == []


def test_debug_shows_the_traceback(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.Busy("somebody works on it")
    done = run("status", "--debug")
    assert "Traceback" in done.stderr
    assert "LK-BUSY" in done.stderr


def test_a_fault_on_a_full_disk_is_still_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    failure = failures.explain(KeyError("x"), "up")
    assert (failure.id, failure.hint) == ("LK-INTERNAL", "--debug shows more")
