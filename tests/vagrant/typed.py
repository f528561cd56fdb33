"""A folder with a lab file, in the namespaces where libvirt is, in which one types commands."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.boxes import recipe, store
from labkit.model import events
from tests.vagrant import harness

LAB_FILE = """\
name = "vm"
provider = "vagrant"

[vagrant]
provider = "{provider}"
box = "labkit/node"
memory = 512

[proxy.flags]
drain-timeout = "30s"
"""
#: Emulated machines take a minute to boot; where the machine is loaded, several.
UP_TIMEOUT_S = 600


@dataclass(frozen=True)
class Typed:
    here: harness.Harness
    folder: Path

    def raw(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return self.here.run(*self._in_folder(words), timeout_s=timeout_s)

    def started(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on meanwhile, to be used in `with`."""
        return self.here.start(*self._in_folder(words))

    def _in_folder(self, words: Sequence[str]) -> tuple[str, ...]:
        return ("sh", "-c", 'cd "$0" && exec "$@"', str(self.folder), *words)

    def labkit(self, *words: str, timeout_s: float = 120) -> str:
        done = self.raw("labkit", *words, timeout_s=timeout_s)
        assert done.returncode == 0, f"labkit {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str, timeout_s: float = 120) -> Any:
        return json.loads(self.labkit(*words, "-o", "json", timeout_s=timeout_s))

    def up(self) -> Any:
        return self.json("up", "--timeout", f"{UP_TIMEOUT_S}s", timeout_s=2 * UP_TIMEOUT_S)

    def exec(self, node: str, command: str) -> str:
        return self.labkit("exec", node, "--", "sh", "-c", command).strip()

    def vagrant(self, *words: str) -> str:
        done = self.raw("vagrant", *words, timeout_s=UP_TIMEOUT_S)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout


@contextlib.contextmanager
def at(provider: str) -> Iterator[Typed]:
    """With the box for that provider of Vagrant's: built once, and again when its recipe changes.

    Vagrant is given it from a file, and there is no way out of the namespaces: nothing is fetched.
    """
    harness.install()
    box = store.ensure(recipe.plan(provider), events.Progress(events.ignore, total=4))
    with harness.running() as here:
        folder = here.folder / "lab"
        folder.mkdir()
        (folder / "labkit.toml").write_text(LAB_FILE.format(provider=provider))
        made = Typed(here, folder)
        made.vagrant("box", "add", str(store.catalogue_file(box)), "--provider", provider)
        yield made
