"""Units on a real machine without systemd: installed over SSH, kept, mended, stopped exactly."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labkit import errors
from labkit.deploy import certificates, health, install, pki, plan, services
from labkit.model import spec
from labkit.ssh import connection, pool
from tests.contracts import machine

FILE = "/etc/labkit/one.conf"
ONE = services.Unit(
    "one",
    ("/bin/sh", "-c", 'echo "$1|$2"; exec sleep 1000', "sh", "a b", "$HOME 100%"),
    {FILE: services.File(b"content", 0o600)},
)
CA_FILE = "/etc/labkit/pki/ca.crt"
CA = services.File(certificates.make_authority("test")[0].encode())
TWO = services.Unit("two", ("/bin/sleep", "1001"), {"/etc/labkit/two": services.File(b"2")})


@pytest.fixture
def node() -> Iterator[machine.Machine]:
    with machine.serve() as made:
        yield made


@pytest.fixture
def nodes(node: machine.Machine) -> Iterator[pool.Pool]:
    with node.pool() as made:
        yield made


@pytest.fixture
def ssh(nodes: pool.Pool) -> connection.Connection:
    return nodes.connection("node1")


def ensure(nodes: pool.Pool, *units: services.Unit) -> tuple[str, ...]:
    return install.ensure_services(nodes, {"node1": units})["node1"].did


def states(nodes: pool.Pool) -> dict[str, plan.UnitState]:
    return install.unit_states(nodes, ["node1"])["node1"]


def until(holds: Callable[[], bool], *, timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class TestInstall:
    def test_a_unit_is_installed_and_runs(
        self, nodes: pool.Pool, ssh: connection.Connection
    ) -> None:
        assert ensure(nodes, ONE) == (f"copied {FILE}", f"copied {plan.SUPERVISE}", "started one")
        state = states(nodes)["one"]
        assert (state.state, state.restarts, state.revision) == ("running", 0, ONE.revision)
        assert abs(state.since - time.time()) < 5
        assert ssh.script(f"cat {FILE}; stat -c %a {FILE}").stdout == "content600\n"
        log = ["cat", "/var/log/labkit/one.log"]
        until(lambda: ssh.run(log).stdout == "a b|$HOME 100%\n")
        assert ssh.run(["cat", f"/proc/{state.pid}/cmdline"]).stdout == "sleep\0" + "1000\0"

    def test_it_says_which_processes_run_then(self, nodes: pool.Pool) -> None:
        for _ in ("made", "found"):
            told = install.ensure_services(nodes, {"node1": (ONE, TWO)})["node1"].units
            found = states(nodes)
            assert {name: (unit.pid, unit.began) for name, unit in told.items()} == {
                name: (unit.pid, unit.began) for name, unit in found.items()
            }

    def test_the_second_time_nothing_is_done(self, nodes: pool.Pool) -> None:
        ensure(nodes, ONE, TWO)
        before = states(nodes)
        commands = len(nodes.connection("node1").log)
        assert ensure(nodes, ONE, TWO) == ()
        assert len(nodes.connection("node1").log) == commands + 1
        after = states(nodes)
        assert {u.name: u.pid for u in after.values()} == {u.name: u.pid for u in before.values()}

    def test_a_changed_file_restarts_its_unit_alone(self, nodes: pool.Pool) -> None:
        ensure(nodes, ONE, TWO)
        before = states(nodes)
        other = replace(ONE, files={FILE: services.File(b"other", 0o600)})
        assert ensure(nodes, other, TWO) == (f"copied {FILE}", "restarted one")
        after = states(nodes)
        assert after["one"].pid != before["one"].pid
        assert after["two"] == replace(before["two"], since=after["two"].since)

    def test_a_file_changed_on_the_machine_is_put_right(
        self, nodes: pool.Pool, ssh: connection.Connection
    ) -> None:
        ensure(nodes, ONE)
        ssh.run(["chmod", "644", FILE])
        assert ensure(nodes, ONE) == (f"copied {FILE}", "restarted one")
        assert ssh.run(["stat", "-c", "%a", FILE]).stdout == "600\n"

    def test_other_arguments_restart(self, nodes: pool.Pool) -> None:
        ensure(nodes, TWO)
        assert ensure(nodes, replace(TWO, argv=("/bin/sleep", "2000"))) == ("restarted two",)

    def test_a_unit_that_is_not_wanted_any_more_goes(
        self, nodes: pool.Pool, node: machine.Machine
    ) -> None:
        ensure(nodes, ONE, TWO)
        assert ensure(nodes, TWO) == ("removed one",)
        assert set(states(nodes)) == {"two"}
        assert not [words for words in node.processes() if "sleep 1000" in words]

    def test_units_survive_the_connection(self, nodes: pool.Pool) -> None:
        ensure(nodes, ONE)
        before = states(nodes)["one"].pid
        nodes.close()
        assert states(nodes)["one"].pid == before

    def test_two_at_once_do_not_meet(self, node: machine.Machine, nodes: pool.Pool) -> None:
        two = pool.Pool(lambda _: node.endpoint)
        with two:
            done = two.map(["a", "b", "c"], lambda ssh: ssh.name)
            assert done == {"a": "node1", "b": "node1", "c": "node1"}
            found = plan.Found("none")
            changes = plan.plan_changes([ONE, TWO], found)
            two.map(["a", "b", "c"], lambda ssh: install.apply_changes(ssh, changes))
        supervisors = [words for words in node.processes() if "supervise.sh" in words]
        assert len(supervisors) == 2
        assert {unit.state for unit in states(nodes).values()} == {"running"}


class TestSupervision:
    def test_a_program_that_dies_is_started_again(
        self, nodes: pool.Pool, ssh: connection.Connection
    ) -> None:
        ensure(nodes, TWO)
        first = states(nodes)["two"].pid
        ssh.run(["kill", "-9", str(first)])
        until(lambda: states(nodes)["two"].restarts == 1 and str(states(nodes)["two"]) == "running")
        assert states(nodes)["two"].pid != first
        log = ssh.run(["cat", "/var/log/labkit/two.log"]).stdout
        assert "two ended with status 137; starting it again in 200 ms" in log

    def test_the_pause_grows(self, nodes: pool.Pool, ssh: connection.Connection) -> None:
        ensure(nodes, services.Unit("bad", ("/bin/false",), {}))
        log = ["grep", "-oE", "[0-9]+ ms", "/var/log/labkit/bad.log"]
        until(lambda: ssh.run(log, check=False).stdout.count("ms") >= 3)
        assert ssh.run(log).stdout.split("\n")[:3] == ["200 ms", "400 ms", "800 ms"]
        assert states(nodes)["bad"].state == "restarting"

    def test_stop_leaves_no_process(self, nodes: pool.Pool, node: machine.Machine) -> None:
        ensure(nodes, TWO, services.Unit("bad", ("/bin/false",), {}))
        assert len(node.processes()) >= 3
        install.stop_units(nodes, ["node1"])
        assert node.processes() == []
        assert states(nodes) == {}

    def test_a_program_that_does_not_obey_is_killed(
        self, nodes: pool.Pool, node: machine.Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = install._shell
        monkeypatch.setattr(install, "_shell", lambda text: whole(f"patience=1\n{text}"))
        deaf = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1)\n"
        argv = ("/usr/bin/python3", "-uc", f"{deaf}while 1: time.sleep(1000)")
        ensure(nodes, services.Unit("deaf", argv, {}))
        log = ["cat", "/var/log/labkit/deaf.log"]
        until(lambda: nodes.connection("node1").run(log).stdout == "1\n")
        install.stop_units(nodes, ["node1"], ["deaf"])
        assert node.processes() == []

    def test_a_program_that_lost_its_supervisor(
        self, nodes: pool.Pool, node: machine.Machine, ssh: connection.Connection
    ) -> None:
        ensure(nodes, TWO)
        supervisor = ssh.run(["cat", "/run/labkit/two.pid"]).stdout.split()[0]
        ssh.run(["kill", "-9", supervisor])
        assert states(nodes)["two"].state == "stopped"
        assert ensure(nodes, TWO) == ("started two",)
        running = sorted(words for words in node.processes())
        assert running == ["/bin/sleep 1001", f"sh {plan.SUPERVISE} two /bin/sleep 1001"]

    def test_a_pid_of_somebody_else_is_not_touched(
        self, nodes: pool.Pool, node: machine.Machine, ssh: connection.Connection
    ) -> None:
        ensure(nodes, TWO)
        install.stop_units(nodes, ["node1"])
        ssh.script(
            "setsid sleep 500 >/dev/null 2>&1 & echo $! 1 running $! 1 0 >/run/labkit/two.pid"
        )
        install.stop_units(nodes, ["node1"], ["two"])
        assert node.processes() == ["sleep 500"]

    def test_uninstall_leaves_nothing(self, nodes: pool.Pool, node: machine.Machine) -> None:
        ensure(nodes, ONE, TWO)
        install.uninstall(nodes, ["node1"])
        assert [w for w in node.processes() if "supervise" in w or "1001" in w] == []
        left = "ls -d /etc/labkit /var/lib/labkit /run/labkit /var/log/labkit"
        with node.connect() as ssh:
            assert ssh.script(left, check=False).stdout == ""


class TestTrouble:
    def test_a_full_disk_changes_nothing(self) -> None:
        with machine.serve("node1", disk_size="1m") as small, small.pool() as nodes:
            ensure(nodes, ONE)
            before = states(nodes)["one"].pid
            large = services.File(os.urandom(3_000_000))
            big = replace(ONE, files={FILE: services.File(b"new"), "/etc/labkit/large": large})
            with pytest.raises(errors.ProviderError, match="the disk is full") as caught:
                ensure(nodes, big)
            assert str(caught.value).startswith("node1: ")
            assert "/etc/labkit/large" in str(caught.value)
            ssh = nodes.connection("node1")
            assert ssh.run(["cat", FILE]).stdout == "content"
            assert "labkit-new" not in ssh.run(["ls", "/etc/labkit"]).stdout
            assert states(nodes)["one"].pid == before

    def test_a_stream_that_is_cut_changes_nothing(
        self, nodes: pool.Pool, ssh: connection.Connection
    ) -> None:
        ensure(nodes, ONE)
        stream = install.pack({FILE: services.File(b"x" * 50_000, 0o600)})
        text = install._shell(f"place {FILE}\n")
        assert ssh.script(text, stdin=stream[:30_000], check=False).exit_status == 74
        assert ssh.run(["cat", FILE]).stdout == "content"
        assert ssh.run(["ls", "/etc/labkit"]).stdout == "one.conf\n"

    def test_a_node_that_does_not_answer_has_no_units(self) -> None:
        with machine.serve() as node, node.pool() as nodes:
            ensure(nodes, ONE)
            node.first.send_signal(signal.SIGKILL)
            node.first.wait()
            assert install.unit_states(nodes, ["node1"]) == {"node1": {}}


SERVER = """
import http.server, ssl, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/labkit/pki/server.crt", "/etc/labkit/pki/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class TestHealth:
    LAB = spec.plan()

    def test_a_server_that_answers(self, nodes: pool.Pool, tmp_path: Path) -> None:
        secrets = pki.ensure_pki(tmp_path, self.LAB)
        files = services.plan_api_server(self.LAB, secrets).files
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        argv = ("/usr/bin/python3", "-c", SERVER, str(port))
        ensure(nodes, services.Unit(services.API_SERVER, argv, files))
        health.wait_for_api(nodes, self.LAB, timeout_s=10, port=port)

    def test_a_unit_that_ends_is_told_with_its_last_words(self, nodes: pool.Pool) -> None:
        argv = ("/bin/sh", "-c", "echo the disk is on fire; exit 1")
        ensure(nodes, services.Unit(services.API_SERVER, argv, {CA_FILE: CA}))
        with pytest.raises(errors.ProviderError, match="the disk is on fire") as caught:
            health.wait_for_api(nodes, self.LAB, timeout_s=10, port=1)
        assert "supervise" not in str(caught.value)

    def test_a_unit_that_never_answers(self, nodes: pool.Pool) -> None:
        argv = ("/bin/sleep", "1000")
        ensure(nodes, services.Unit(services.API_SERVER, argv, {CA_FILE: CA}))
        with pytest.raises(errors.TimedOut, match=r"did not answer on port 1 within 0\.3 s"):
            health.wait_for_api(nodes, self.LAB, timeout_s=0.3, port=1)
