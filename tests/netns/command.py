"""The `labkit` command as a process of its own, with folders of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

#: kubectl is not one of Debian's packages that labkit installs: Debian 12's is too old.
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on the PATH")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote where."""

    status: int
    stdout: str
    stderr: str

    def refused(self, status: int, id_: str, *words: str) -> None:
        """Assert that it ended like this: an id, a message, and nothing on stdout."""
        assert (self.status, self.stdout) == (status, ""), self
        assert "Traceback" not in self.stderr
        assert id_ in self.stderr.split(), self.stderr
        for each in words:
            assert each in self.stderr


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands of one learner: their labs are in `home`, they stand in `folder`.

    `prefix` is a program that runs them in its own way, such as nsenter.
    """

    home: Path
    folder: Path
    prefix: Sequence[str] = ()

    def labkit(self, *argv: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Done:
        done = subprocess.run(
            [*self.prefix, sys.executable, "-m", "labkit.cli", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.folder,
            env=self.environment(env or {}),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        modules = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        own = {
            "PYTHONPATH": ":".join(filter(None, modules)),
            "XDG_STATE_HOME": str(self.home / "STATE_HOME"),
            "XDG_RUNTIME_DIR": str(self.home / "RUNTIME_DIR"),
        }
        return {**os.environ, **own, **more}
