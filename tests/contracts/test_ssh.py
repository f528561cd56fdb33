"""SSH against a real sshd: what works, and how each thing that breaks is told."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import errors
from labkit.model import commands
from labkit.ssh import config, connection, keys, pool, wire
from labkit.ssh import stream as streams
from tests.contracts import machine


@pytest.fixture(scope="module")
def node() -> Iterator[machine.Machine]:
    with machine.serve() as made:
        yield made


@pytest.fixture
def ssh(node: machine.Machine) -> Iterator[connection.Connection]:
    with node.connect() as made:
        yield made


class TestRun:
    def test_a_command_is_run_and_recorded(self, ssh: connection.Connection) -> None:
        done = ssh.run(["printf", "%s|%s", "a b", "$HOME"])
        assert (done.stdout, done.stderr, done.exit_status) == ("a b|$HOME", "", 0)
        assert done.node == "node1"
        assert done.line == "labkit exec node1 -- printf '%s|%s' 'a b' '$HOME'"
        assert list(ssh.log) == [done]

    def test_what_is_not_to_be_recorded_is_not(self, ssh: connection.Connection) -> None:
        ssh.run(["true"], record=False)
        assert len(ssh.log) == 0

    def test_a_script_gets_its_arguments_and_stdin(self, ssh: connection.Connection) -> None:
        done = ssh.script('read line; echo "$line $1 $2"', args=("one", "two 3"), stdin="zero\n")
        assert done.stdout == "zero one two 3\n"

    def test_a_bad_end_raises_with_the_last_lines(self, ssh: connection.Connection) -> None:
        with pytest.raises(errors.CommandFailed, match="status 3: gone") as caught:
            ssh.script("echo gone >&2; exit 3")
        assert (caught.value.node, caught.value.exit_status) == ("node1", 3)

    def test_a_bad_end_may_be_expected(self, ssh: connection.Connection) -> None:
        assert ssh.run(["false"], check=False).exit_status == 1

    def test_a_program_that_a_signal_ends_has_no_status(self, ssh: connection.Connection) -> None:
        assert ssh.script("kill -9 $PPID", check=False).exit_status == -1
        assert ssh.run(["echo", "still here"]).stdout == "still here\n"

    def test_output_that_is_not_text_is_shown(self, ssh: connection.Connection) -> None:
        assert ssh.script(r"printf '\377'").stdout == "\ufffd"

    def test_much_output_on_both_streams(self, ssh: connection.Connection) -> None:
        text = "head -c 8000000 /dev/zero | tr '\\0' e >&2; head -c 8000000 /dev/zero | tr '\\0' o"
        done = ssh.script(text)
        assert (done.stdout, done.stderr) == ("o" * 8_000_000, "e" * 8_000_000)

    def test_much_input_that_comes_back(self, ssh: connection.Connection) -> None:
        data = os.urandom(4_000_000).hex()
        assert ssh.run(["cat"], stdin=data).stdout == data

    def test_much_input_that_nobody_reads(self, ssh: connection.Connection) -> None:
        assert ssh.run(["true"], stdin=b"x" * 8_000_000).exit_status == 0

    def test_many_commands_share_one_connection(self, ssh: connection.Connection) -> None:
        said: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: said.append(ssh.run(["echo", str(n)]).stdout))
            for n in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(int, said)) == list(range(24))
        peers = ssh.script("echo $SSH_CONNECTION").stdout, ssh.script("echo $SSH_CONNECTION").stdout
        assert peers[0] == peers[1]

    def test_the_first_command_waits_for_no_acknowledgement(self, node: machine.Machine) -> None:
        def first() -> float:
            with node.connect() as ssh:
                ssh._connected()
                return ssh.run(["true"]).seconds

        assert min(first() for _ in range(5)) < 0.03

    def test_a_deadline_ends_the_wait_and_only_this_command(
        self, ssh: connection.Connection
    ) -> None:
        other: list[str] = []
        beside = threading.Thread(
            target=lambda: other.append(ssh.script("sleep 0.6; echo fine").stdout)
        )
        ssh.run(["true"])
        beside.start()
        begun = time.monotonic()
        with pytest.raises(errors.TimedOut, match=r"`sleep 60` did not end within 0.3 s") as caught:
            ssh.run(["sleep", "60"], timeout_s=0.3)
        assert time.monotonic() - begun < 0.6
        assert caught.value.node == "node1"
        beside.join()
        assert other == ["fine\n"]


class TestStream:
    def test_lines_come_while_the_program_runs(self, ssh: connection.Connection) -> None:
        with ssh.stream(["sh", "-c", "echo one; read word; echo two"]) as stream:
            lines = stream.lines()
            assert next(lines) == "one"
            stream.end()
            assert list(lines) == ["two"]
        assert ssh.log

    def test_it_ends_when_nobody_listens(self, ssh: connection.Connection) -> None:
        with ssh.stream(["sh", "-c", "echo $$; exec cat"]) as stream:
            pid = next(stream.lines())
        assert ssh.run(["test", "-e", f"/proc/{pid}"], check=False).exit_status == 1

    def test_a_bad_end_raises_with_its_last_words(self, ssh: connection.Connection) -> None:
        with (
            pytest.raises(errors.CommandFailed, match="status 3: gone"),
            ssh.stream(["sh", "-c", "echo gone >&2; exit 3"]) as stream,
        ):
            assert list(stream.lines()) == []

    def test_what_does_not_end_is_told(
        self, ssh: connection.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "PATIENCE_S", 0.1)
        with (
            pytest.raises(errors.TimedOut, match="does not end"),
            ssh.stream(["sh", "-c", "echo $$; exec <&- ; while :; do read x; done"]) as stream,
        ):
            pid = next(stream.lines())
        ssh.run(["kill", "-9", pid])

    def test_a_connection_that_breaks(self, ssh: connection.Connection) -> None:
        with (
            pytest.raises(errors.ConnectionFailed, match="the connection broke"),
            ssh.stream(["cat"]),
        ):
            ssh.close()


class TestPut:
    def test_content_mode_and_folder(self, ssh: connection.Connection) -> None:
        data = os.urandom(300_000)
        ssh.put("/var/lib/labkit/new folder/file", data, mode=0o600)
        done = ssh.script(
            'sha256sum <"$1"; stat -c %a "$1"', args=["/var/lib/labkit/new folder/file"]
        )

        assert done.stdout == f"{hashlib.sha256(data).hexdigest()}  -\n600\n"

    def test_half_a_file_never_takes_the_name(self, ssh: connection.Connection) -> None:
        from labkit.ssh import files

        ssh.put("/var/lib/labkit/kept", b"before")
        done = ssh.script(
            files.PUT, args=("/var/lib/labkit/kept", "644", "1000"), stdin="half", check=False
        )
        assert done.exit_status == 1
        assert ssh.script("cat /var/lib/labkit/kept*").stdout == "before"

    def test_a_full_disk_is_named(self) -> None:
        with machine.serve("node2", disk_size="1m") as small, small.connect() as ssh:
            ssh.put("/var/lib/labkit/kept", b"before")
            with pytest.raises(errors.ProviderError, match="disk is full") as caught:
                ssh.put("/var/lib/labkit/kept", b"x" * 3_000_000)
            assert "/var/lib/labkit/kept" in str(caught.value)
            assert caught.value.node == "node2"
            assert "df -h" in caught.value.hint
            assert ssh.script("cat /var/lib/labkit/kept*").stdout == "before"


class TestTrouble:
    def test_another_host_key_is_refused(self, node: machine.Machine) -> None:
        other = keys.generate_ed25519().public
        with pytest.raises(errors.ConnectionFailed, match="shows the host key") as caught:
            node.connect(host_key=other).run(["true"])
        assert keys.fingerprint(other) in str(caught.value)
        assert keys.fingerprint(node.endpoint.host_key) in str(caught.value)
        assert caught.value.node == "node1"
        assert "labkit down --purge" in caught.value.hint

    def test_a_host_key_of_another_type_is_refused(self, node: machine.Machine) -> None:
        with pytest.raises(errors.ConnectionFailed, match="no algorithm in common"):
            node.connect(host_key="ecdsa-sha2-nistp256 AAAA").run(["true"])

    def test_a_wrong_user_key(self, node: machine.Machine, tmp_path: Path) -> None:
        keys.write_key(tmp_path / "key", keys.generate_ed25519().private_openssh)
        with pytest.raises(errors.ConnectionFailed, match="does not accept") as caught:
            node.connect(private_key=tmp_path / "key").run(["true"])
        assert "authorized_keys" in caught.value.hint

    def test_a_missing_user_key(self, node: machine.Machine, tmp_path: Path) -> None:
        with pytest.raises(errors.ConnectionFailed, match="is missing"):
            node.connect(private_key=tmp_path / "none").run(["true"])

    def test_nobody_listens(self, node: machine.Machine) -> None:
        with pytest.raises(errors.ConnectionFailed, match="refused"):
            node.connect(port=1).run(["true"])

    def test_what_listens_says_nothing(self, node: machine.Machine) -> None:
        from labkit.ssh import wire

        with socket.create_server(("127.0.0.1", 0)) as mute:
            where = node.connect(port=mute.getsockname()[1]).endpoint
            with pytest.raises(errors.ConnectionFailed, match="no SSH connection"):
                wire.connect(where, timeout_s=0.3)

    def test_sshd_dies_under_a_command_and_comes_back(self) -> None:
        with machine.serve("node2") as node, node.connect() as ssh:
            ssh.run(["true"])
            script = "cut -d' ' -f4 /proc/$PPID/stat >/run/session; exec sleep 60"
            failed: list[BaseException] = []

            def work() -> None:
                try:
                    ssh.script(script)
                except errors.LabkitError as error:
                    failed.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            with node.connect() as other:
                other.script("until [ -s /run/session ]; do :; done; kill -9 $(cat /run/session)")
            thread.join(5)
            assert isinstance(failed[0], errors.ConnectionFailed)
            assert failed[0].node == "node2"
            assert "broke while" in str(failed[0])
            assert ssh.run(["echo", "again"]).stdout == "again\n"

    def test_the_machine_dies_under_a_command(self) -> None:
        with machine.serve("node2") as node, node.connect() as ssh:
            killer = threading.Timer(0.3, os.kill, (node.first.pid, signal.SIGKILL))
            ssh.run(["true"])
            killer.start()
            with pytest.raises(errors.ConnectionFailed, match="node2"):
                ssh.run(["sleep", "60"])
            with pytest.raises(errors.ConnectionFailed, match="no SSH connection"):
                ssh.run(["true"])

    def test_close_ends_what_runs(self, node: machine.Machine) -> None:
        ssh = node.connect()
        ssh.run(["true"])
        threading.Timer(0.2, ssh.close).start()
        with pytest.raises(errors.ConnectionFailed):
            ssh.run(["sleep", "60"])


class TestMeet:
    def test_the_first_key_that_is_accepted_and_the_host_key_are_found_on_one_connection(
        self, node: machine.Machine, tmp_path: Path
    ) -> None:
        keys.write_key(tmp_path / "other", keys.generate_ed25519().private_openssh)
        where = dataclasses.replace(node.endpoint, host_key="")
        tried = [tmp_path / "other", tmp_path / "missing", node.endpoint.private_key]
        with connection.Connection.meet(where, tried, commands.CommandLog()) as met:
            assert keys.same(met.endpoint.host_key, node.endpoint.host_key)
            assert met.run(["echo", "here"]).stdout == "here\n"

    def test_no_key_is_accepted(self, node: machine.Machine, tmp_path: Path) -> None:
        keys.write_key(tmp_path / "other", keys.generate_ed25519().private_openssh)
        with pytest.raises(wire.NoKeyAccepted) as caught:
            wire.meet(node.endpoint, [tmp_path / "other"])
        assert caught.value.node == "node1"

    def test_nobody_is_there(self, node: machine.Machine) -> None:
        with pytest.raises(errors.ConnectionFailed, match="Connection refused"):
            wire.meet(dataclasses.replace(node.endpoint, port=1), [])


class TestPool:
    def test_results_by_name_in_order(self, node: machine.Machine) -> None:
        with node.pool() as nodes:
            said = nodes.map(["b", "a"], lambda ssh: ssh.run(["echo", "x"]).stdout)
            assert list(said.items()) == [("b", "x\n"), ("a", "x\n")]
            assert nodes.connection("a") is nodes.connection("a")

    def test_no_node_is_no_work(self, node: machine.Machine) -> None:
        with node.pool() as nodes:
            assert nodes.map([], lambda ssh: 1) == {}

    def test_one_failure_is_that_failure(self, node: machine.Machine) -> None:
        def work(ssh: connection.Connection) -> None:
            if ssh is broken:
                raise errors.ProviderError("no", node="a")

        with node.pool() as nodes:
            broken = nodes.connection("a")
            with pytest.raises(errors.ProviderError, match="a: no"):
                nodes.map(["a", "b"], work)

    def test_several_failures_are_told_together(self, node: machine.Machine) -> None:
        def work(_: connection.Connection) -> None:
            raise errors.ProviderError("no", hint="do this")

        with node.pool() as nodes, pytest.raises(pool.SeveralFailed) as caught:
            nodes.map(["a", "b"], work)
        assert str(caught.value) == "2 nodes failed:\n  a: no\n  b: no"
        assert caught.value.hint == "do this"
        assert set(caught.value.errors) == {"a", "b"}

    def test_a_bug_is_not_hidden(self, node: machine.Machine) -> None:
        with node.pool() as nodes, pytest.raises(ZeroDivisionError):
            nodes.map(["a", "b"], lambda _: 1 // 0)


class TestOpenSSH:
    """The files that `labkit ssh-config` prints, read by OpenSSH's own programs."""

    @pytest.fixture
    def options(self, node: machine.Machine, tmp_path: Path) -> list[str]:
        folder = tmp_path / "a b%c"
        folder.mkdir()
        keys.write_key(folder / "key", node.endpoint.private_key.read_text())
        where = node.connect(private_key=folder / "key").endpoint
        (folder / "known").write_text(config.render_known_hosts([where]))
        (folder / "config").write_text(config.render_ssh_config([where], folder / "known"))
        return ["-F", str(folder / "config")]

    def test_ssh(self, options: list[str]) -> None:
        argv = ["ssh", *options, "node1", "echo", "hello"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        assert (done.stdout, done.stderr) == ("hello\n", "")

    def test_scp(self, options: list[str], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("content")
        there, back = "node1:/root/copied", tmp_path / "back"
        subprocess.run(["scp", "-q", *options, tmp_path / "file", there], check=True, timeout=20)
        subprocess.run(["scp", "-q", *options, there, back], check=True, timeout=20)
        assert back.read_text() == "content"

    def test_another_host_key_is_refused(
        self, node: machine.Machine, options: list[str], tmp_path: Path
    ) -> None:
        known = tmp_path / "a b%c" / "known"
        known.write_text(f"node1 {keys.generate_ed25519().public}\n")
        done = subprocess.run(
            ["ssh", *options, "node1", "true"], capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 255
        assert "Host key verification failed" in done.stderr
