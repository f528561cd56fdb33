"""Commands on this machine: recorded, and translated when they fail. Real processes."""

from __future__ import annotations

import pytest

from labkit import errors, local


def test_a_command_is_run_fed_and_recorded() -> None:
    done = local.run(["sh", "-c", "cat; echo to-stderr >&2"], stdin="words")
    assert (done.stdout, done.stderr, done.exit_status) == ("words", "to-stderr\n", 0)
    assert done in list(local.log)
    assert done.seconds > 0


def test_a_failure_is_an_error_or_a_value() -> None:
    with pytest.raises(errors.CommandFailed, match="ended with status 3: oh"):
        local.run(["sh", "-c", "echo oh >&2; exit 3"])
    assert local.run(["sh", "-c", "exit 3"], check=False).exit_status == 3


def test_a_program_that_is_missing() -> None:
    with pytest.raises(errors.NotSupported, match="'labkit-no-such-program' is not installed"):
        local.run(["labkit-no-such-program"])
    assert not local.has("labkit-no-such-program")


def test_a_command_that_does_not_end() -> None:
    with pytest.raises(errors.TimedOut, match=r"`sleep 60` did not end within 0\.05 s"):
        local.run(["sleep", "60"], timeout_s=0.05)


def test_programs_for_root_are_found_with_an_ordinary_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert local.has("sysctl") or local.has("ip")
    assert "/usr/sbin" in local.run(["printenv", "PATH"]).stdout
