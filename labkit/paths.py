"""Where labkit keeps a lab on the learner's machine.

    state     ~/.local/state/labkit/NAME   survives `down`: keys, certificates, the nodes' own files
    runtime   /run/user/UID/labkit/NAME    there only while the lab runs: the holder's socket

Both follow the XDG variables; without them, on Windows, they are below %LOCALAPPDATA%.
Nothing of a lab is anywhere else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from labkit import errors, system
from labkit.model import spec

LAB_FILE = "labkit.toml"

#: Without O_BINARY, which is Windows' alone, each newline would be written as two characters.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The two folders of one lab."""

    state: Path
    runtime: Path

    @property
    def spec(self) -> Path:
        return self.state / "lab.json"

    @property
    def private_key(self) -> Path:
        return self.state / "ssh" / "id_ed25519"

    @property
    def ssh_config(self) -> Path:
        return self.state / "ssh" / "config"

    @property
    def known_hosts(self) -> Path:
        return self.state / "ssh" / "known_hosts"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def control_plane(self) -> Path:
        """What the lab has to do with an API server that is not its own."""
        return self.state / "control-plane.json"

    @property
    def holder_socket(self) -> Path:
        return self.runtime / "holder.sock"


def state_root() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    if not base and system.is_windows():
        return _local_app_data() / "labkit"
    return (Path(base) if base else Path.home() / ".local" / "state") / "labkit"


def runtime_root() -> Path:
    """Return a folder only its owner can enter; without XDG_RUNTIME_DIR one is made.

    Raises NotSupported where somebody else has made it first.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base) / "labkit"
    if system.is_windows():
        return _local_app_data() / "labkit-run"  # its owner alone may enter all that is there
    if system.is_root():
        return Path("/run/labkit")
    folder = Path(f"/tmp/labkit-{os.getuid()}")  # noqa: S108 - owner and mode are checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    if info.st_uid != os.getuid() or not stat.S_ISDIR(info.st_mode) or info.st_mode & 0o077:
        raise errors.NotSupported(
            f"{folder} belongs to somebody else, or others can enter it",
            hint="set XDG_RUNTIME_DIR to a folder of your own with mode 0700",
        )
    return folder


def _local_app_data() -> Path:
    r"""Windows' folder for a user's own data, usually C:\Users\NAME\AppData\Local."""
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")


def of(name: str) -> LabPaths:
    """The folders of the lab `name`, made or not. Raises ConfigError for a bad name."""
    spec.check_name(name)
    return LabPaths(state_root() / name, runtime_root() / name)


def find_lab_file(start: Path) -> Path | None:
    """Return the nearest lab file at or above the folder `start`."""
    for folder in (start, *start.parents):
        if (folder / LAB_FILE).is_file():
            return folder / LAB_FILE
    return None


def ensure_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Make the file hold `text`: whole or not at all, and untouched where it holds it already.

    So a disk that is full spoils nothing that was there.
    """
    with contextlib.suppress(OSError):
        if stat.S_IMODE(path.lstat().st_mode) == mode and path.read_bytes() == text.encode():
            return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        fd = os.open(fresh, _NEW_FILE, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(text.encode())
        fresh.chmod(mode)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def lab_names() -> list[str]:
    """Every lab that has state on this machine, sorted."""
    root = state_root()
    return sorted(path.parent.name for path in root.glob("*/lab.json")) if root.is_dir() else []


def forget(lab: LabPaths) -> None:
    """Remove all that is left of a lab, and labkit's own folders with the last one."""
    for folder in (lab.state, lab.runtime):
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other labs are there, or it is gone already
            folder.parent.rmdir()
