"""`vagrant` itself, through python-vagrant. Each call starts Ruby and costs one to three seconds.

What Vagrant writes goes to `log` in the lab's folder, so that nothing is lost when it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from labkit import errors, local
from labkit.model import commands
from labkit.providers.vagrant import faults

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class SshDetails:
    """A machine's sshd as `vagrant ssh-config` describes it, and the keys that it may accept."""

    host: str
    port: int
    user: str
    keys: tuple[str, ...]


class Calls:
    """Vagrant in one folder. Every method is one call of `vagrant`.

    `interrupted` is called where Ctrl-C ends one, and it takes its time to end.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], interrupted: Callable[[], None]
    ) -> None:
        self._log = folder / "log"
        self._folder = folder
        self._environment = {**os.environ, "VAGRANT_NO_COLOR": "1", **environment}
        self._interrupted = interrupted
        self._made: Any = None

    def up(self, names: Sequence[str], *, one_by_one: bool = False) -> None:
        self._call("up", *names, "--no-provision", *(["--no-parallel"] if one_by_one else []))

    def halt(self, names: Sequence[str]) -> None:
        self._call("halt", *names)

    def destroy(self, names: Sequence[str]) -> None:
        self._call("destroy", *names, "--force")

    def states(self) -> dict[str, str]:
        """Each machine's state in its provider's own word."""
        found = self._run("status", lambda: self._vagrant.status())
        return {each.name: each.state or "" for each in found if each.name}

    def ssh_details(self, names: Sequence[str]) -> dict[str, SshDetails]:
        """Of these, which run: some of Vagrant's providers fail where one does not."""
        words = ["ssh-config", *names]
        said = self._run(" ".join(words), lambda: self._vagrant._run_vagrant_command(words))
        return parse_ssh_config(said)

    def snapshot_save(self, name: str) -> None:
        self._call("snapshot", "save", "--force", name)

    def snapshot_restore(self, name: str) -> None:
        self._call("snapshot", "restore", "--no-provision", name)

    def snapshot_delete(self, name: str) -> None:
        self._run("snapshot delete", lambda: self._vagrant.snapshot_delete(name))

    def snapshots(self) -> tuple[str, ...]:
        lines = self._run("snapshot list", lambda: self._vagrant.snapshot_list())
        return parse_snapshots(lines)

    def _call(self, *words: str) -> None:
        # python-vagrant's own methods name one machine or all; one call is to start some of them.
        self._run(" ".join(words), lambda: self._vagrant._call_vagrant_command(list(words)))

    @property
    def _vagrant(self) -> Any:
        if self._made is None:
            if not shutil.which("vagrant"):
                raise errors.NotSupported(
                    "Vagrant is not installed",
                    hint="install it from vagrantup.com or your distribution (`apt-get install "
                    "vagrant vagrant-libvirt`), or use `--provider netns`",
                )
            from labkit.providers.vagrant import driver

            self._made = driver.Driver(self._folder, self._environment, self._interrupted)
        return self._made

    def _run(self, verb: str, call: Callable[[], _Result]) -> _Result:
        before, begun = self._written(), time.monotonic()
        status = 0
        try:
            return call()
        except subprocess.CalledProcessError as error:
            status = error.returncode
            with self._log.open(errors="replace") as log:
                log.seek(before)
                raise faults.explain(log.read() + str(error.output or ""), verb) from error
        finally:
            argv = ("vagrant", *verb.split())
            local.log.add(commands.Command(argv, status, "", "", time.monotonic() - begun))

    def _written(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0


def parse_ssh_config(text: str) -> dict[str, SshDetails]:
    """The hosts of `vagrant ssh-config`. A host may have several keys; they are tried in turn."""
    hosts: dict[str, dict[str, list[str]]] = {}
    words: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "Host":
            words = hosts.setdefault(value.strip(), {})
        elif value:
            words.setdefault(keyword, []).append(value.strip().strip('"'))
    return {
        name: SshDetails(
            said["HostName"][0],
            int(said.get("Port", ["22"])[0]),
            said["User"][0],
            tuple(said.get("IdentityFile", ())),
        )
        for name, said in hosts.items()
    }


def parse_snapshots(lines: Sequence[str]) -> tuple[str, ...]:
    """The names, each once: Vagrant lists them below `==> MACHINE:`, or after it."""
    names = [line.partition(": ")[2] if line.startswith("==>") else line for line in lines]
    told = (name.strip() for name in names)
    return tuple(dict.fromkeys(name for name in told if name and " " not in name))
