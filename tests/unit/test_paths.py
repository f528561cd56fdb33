"""Where a lab's files are: two folders, both by the XDG variables, neither anybody else's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from labkit import errors, paths
from labkit.model import spec


def test_all_of_a_lab_is_in_two_folders(home: Path) -> None:
    where = paths.of("a")
    assert where.state == home / "STATE_HOME" / "labkit" / "a"
    assert where.runtime == home / "RUNTIME_DIR" / "labkit" / "a"
    inside = (where.spec, where.private_key, where.ssh_config, where.known_hosts, where.pki)
    assert all(path.is_relative_to(where.state) for path in (*inside, where.kubeconfig))
    assert where.holder_socket.is_relative_to(where.runtime)
    assert not where.state.exists()


def test_a_sockets_path_is_short_enough_for_the_longest_name() -> None:
    longest = Path("/run/user/65534/labkit") / ("x" * 28)
    assert spec.LAB_NAME.fullmatch(longest.name)
    assert len(str(paths.LabPaths(longest, longest).holder_socket)) < 108


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_no_name_leads_out_of_the_folders(home: Path, name: str) -> None:
    with pytest.raises(errors.ConfigError):
        paths.of(name)


def test_without_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert paths.state_root() == tmp_path / ".local" / "state" / "labkit"
    assert paths.runtime_root() == Path("/run/labkit")


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for an ordinary user without XDG_RUNTIME_DIR, moved out of /tmp."""
    folder = tmp_path / "labkit-1"
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    monkeypatch.setattr(paths, "Path", lambda _: folder)
    return folder


def test_an_ordinary_user_gets_a_folder_that_nobody_else_can_enter(own_folder: Path) -> None:
    assert paths.runtime_root() == own_folder
    assert own_folder.stat().st_mode & 0o777 == 0o700
    assert paths.runtime_root() == own_folder


def test_a_folder_that_others_can_enter_is_refused(own_folder: Path) -> None:
    own_folder.mkdir()
    own_folder.chmod(0o755)
    with pytest.raises(errors.NotSupported, match="others can enter it"):
        paths.runtime_root()


def test_a_file_is_written_whole_and_only_when_it_differs(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    paths.ensure_file(file, "a", 0o600)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("a", 0o600)
    before = file.stat().st_ino
    paths.ensure_file(file, "a", 0o600)
    assert file.stat().st_ino == before
    paths.ensure_file(file, "a")
    assert file.stat().st_mode & 0o777 == 0o644
    paths.ensure_file(file, "b")
    assert [each.read_text() for each in file.parent.iterdir()] == ["b"]


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    paths.ensure_file(file, "a")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no room"):
        paths.ensure_file(file, "b")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["a"]


def test_lab_names(home: Path) -> None:
    assert paths.lab_names() == []
    for name in ("b", "a"):
        paths.of(name).state.mkdir(parents=True)
        paths.of(name).spec.touch()
    (paths.state_root() / "no-lab").mkdir()
    assert paths.lab_names() == ["a", "b"]
