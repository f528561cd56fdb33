"""Waiting for the kernel's word that a Service is served, on real rules in a fresh namespace."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.inspection import await_rules

PROGRAM = Path(await_rules.__file__)
RULE = (
    "iptables -t nat -A PREROUTING -p tcp -m comment --comment default/app1 -m tcp --dport 8080"
    " -j REDIRECT --to-ports 9999"
)
LISTEN = (
    "import socket,sys; s=socket.create_server(('',9999)); print('listens', flush=True);"
    "sys.stdin.read()"
)


@pytest.fixture
def namespace() -> Iterator[subprocess.Popen[str]]:
    """A shell in a net namespace of its own; a line written to it is run there."""
    argv = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as shell:
        # iptables-legacy wants its lock; ip wants sysfs. Neither is what is tested here.
        do(shell, "mount -t tmpfs tmpfs /run; ip link set lo up; echo ready")
        assert said(shell) == "ready"
        yield shell
        shell.communicate("exit\n")


def do(shell: subprocess.Popen[str], line: str) -> None:
    assert shell.stdin
    shell.stdin.write(f"{line}\n")
    shell.stdin.flush()


def said(shell: subprocess.Popen[str]) -> str:
    assert shell.stdout
    return shell.stdout.readline().strip()


def wait(seconds: float) -> str:
    return f"/usr/bin/python3 {PROGRAM} default/app1 {seconds}; echo ended $?"


def test_a_rule_without_a_listener_does_not_count(namespace: subprocess.Popen[str]) -> None:
    do(namespace, f"{RULE}; {wait(0.2)}")
    assert said(namespace) == f"ended {await_rules.LATE}"


def test_other_services_rules_do_not_count(namespace: subprocess.Popen[str]) -> None:
    other = RULE.replace("default/app1", "default/app10")
    do(namespace, f"{other}; {wait(0.2)}")
    assert said(namespace) == f"ended {await_rules.LATE}"


def test_the_rule_is_noticed_when_the_kernel_announces_it(
    namespace: subprocess.Popen[str],
) -> None:
    do(namespace, f'mkfifo /run/end; python3 -c "{LISTEN}" </run/end & exec 3>/run/end')
    assert said(namespace) == "listens"
    # Looking again by the clock is switched off: what is left is the announcement.
    do(namespace, f"sed 's/^AGAIN_S = .*/AGAIN_S = 60/' {PROGRAM} >/run/patient.py")
    do(namespace, f"( {wait(20).replace(str(PROGRAM), '/run/patient.py')} ) & echo waits")
    assert said(namespace) == "waits"
    begun = time.monotonic()
    do(namespace, RULE)
    assert said(namespace) == f"ended {await_rules.SERVED}"
    assert time.monotonic() - begun < 10
    do(namespace, "exec 3>&-")
