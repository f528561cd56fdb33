"""What the commands touch outside of themselves, in one place: tests hand in another world.

Imports happen inside: `labkit --help` must not pay for SSH.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from labkit.inspection.hosts import Host
    from labkit.lab import Lab
    from labkit.lab.reports import LabSummary
    from labkit.preflight.findings import Finding
    from labkit.preflight.packages import Package


class World:
    """The labs of this machine, the machine itself, and the person at the terminal."""

    def open_lab(self, name: str | None, overrides: Mapping[str, Any] | None = None) -> Lab:
        from labkit import lab

        return lab.open_lab(name, overrides=overrides)

    def list_labs(self) -> tuple[LabSummary, ...]:
        from labkit import lab

        return lab.list_labs()

    def open_host(self, destination: str, config: str) -> Host:
        from labkit.inspection import hosts

        return hosts.Host(destination, config)

    def pause(self, seconds: float) -> None:
        """Wait between two looks at what announces nothing: counters."""
        time.sleep(seconds)

    def find_program(self, name: str) -> bool:
        from labkit import local

        return local.has(name)

    def become(self, argv: Sequence[str]) -> int:
        """Replace this process by `argv`. Returns only in tests, with its exit status."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execvp(argv[0], list(argv))  # noqa: S606 - no shell is the point

    def ensure_packages(self, ask: Callable[[str], bool]) -> None:
        """Install what namespaces need; machines of Vagrant's, and hosts, need nothing of it."""
        if missing := self.missing_packages():
            self.install(missing, ask)

    def missing_packages(self) -> tuple[Package, ...]:
        from labkit import system
        from labkit.preflight import packages

        if not system.is_linux():  # these are what namespaces need
            return ()
        return packages.plan_packages(packages.find_programs(), rootless=not system.is_root())

    def install(self, missing: Sequence[Package], ask: Callable[[str], bool]) -> None:
        from labkit.preflight import packages

        packages.install(missing, ask)

    def findings(self, provider: str, name: str | None) -> tuple[Finding, ...]:
        from labkit.lab import doctor

        return doctor.judge(provider, name)

    def planned_provider(self) -> str:
        """The lab file's, or the usual one."""
        from labkit.lab import doctor

        return doctor.planned().provider

    def is_terminal(self) -> bool:
        """True when somebody is there to answer a question."""
        return sys.stdin.isatty()

    def draws(self) -> bool:
        """True when stdout is a screen that can be drawn on again."""
        return sys.stdout.isatty()

    def ask(self, question: str) -> bool:
        return click.confirm(question, err=True)
