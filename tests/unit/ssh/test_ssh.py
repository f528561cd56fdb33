"""What SSH is told and what it says, without a connection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labkit import errors
from labkit.model import commands
from labkit.ssh import config, connection, endpoint, files, keys, lean, session


def node(**changes: object) -> endpoint.Endpoint:
    values: dict[str, object] = {
        "name": "node1",
        "host": "192.168.56.11",
        "port": 22,
        "user": "root",
        "host_key": "ssh-ed25519 AAAAC3 comment",
        "private_key": Path("/home/a b/key%1"),
        "dial": lambda host, port: None,
    }
    return endpoint.Endpoint(**values | changes)  # type: ignore[arg-type]


class TestKeys:
    def test_openssh_reads_what_we_make(self, tmp_path: Path) -> None:
        pair = keys.generate_ed25519()
        keys.write_key(tmp_path / "folder" / "key", pair.private_openssh)
        argv = ["ssh-keygen", "-y", "-f", str(tmp_path / "folder" / "key")]
        public = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        assert keys.same(public, pair.public)
        listed = subprocess.run(
            ["ssh-keygen", "-l", "-f", "-"], input=pair.public, capture_output=True, text=True
        )
        assert keys.fingerprint(pair.public) in listed.stdout

    def test_a_key_file_is_its_owners_and_is_replaced_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "key"
        keys.write_key(path, "one")
        keys.write_key(path, "two")
        assert path.read_text() == "two"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert [each.name for each in path.parent.iterdir()] == ["key"]

    def test_the_private_half_is_not_shown(self) -> None:
        assert "PRIVATE" not in repr(keys.generate_ed25519())

    def test_comments_do_not_make_another_key(self) -> None:
        assert keys.same("ssh-ed25519 AAAA one", "ssh-ed25519 AAAA")
        assert not keys.same("ssh-ed25519 AAAA", "ssh-ed25519 AAAB")


class TestConfig:
    def test_a_node_by_its_name(self) -> None:
        text = config.render_ssh_config([node()], Path("/home/a b/known%"))
        assert text.startswith("Host node1\n  HostName 192.168.56.11\n  Port 22\n  User root\n")
        assert '  IdentityFile "/home/a b/key%%1"\n' in text
        assert '  UserKnownHostsFile "/home/a b/known%%"\n' in text
        assert "  HostKeyAlias node1\n" in text
        assert "  StrictHostKeyChecking yes\n" in text
        assert "ProxyCommand" not in text

    def test_a_node_behind_a_proxy(self) -> None:
        text = config.render_ssh_config([node(proxy_command="labkit dial x")], Path("/k"))
        assert "  ProxyCommand labkit dial x\n  ProxyUseFdpass yes\n" in text

    def test_known_hosts(self) -> None:
        nodes = [node(), node(name="node2", host_key="ssh-rsa BBBB")]
        assert config.render_known_hosts(nodes) == "node1 ssh-ed25519 AAAAC3\nnode2 ssh-rsa BBBB\n"
        assert "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256" in config.render_ssh_config(
            nodes, Path("/k")
        )


class TestLine:
    def test_no_stdin_is_an_empty_one(self) -> None:
        assert session.render_line(["ls", "a b"], has_stdin=False) == "ls 'a b' </dev/null"

    def test_stdin_is_read_to_its_end(self) -> None:
        line = session.render_line(["cat"], has_stdin=True)
        done = subprocess.run(["sh", "-c", line], input="x", capture_output=True, text=True)
        assert done.stdout == "x"

    def test_another_user_becomes_root(self) -> None:
        log = commands.CommandLog()
        assert connection.Connection(node(), log)._as_root(["ls"]) == ["ls"]
        learner = connection.Connection(node(user="learner"), log)
        assert learner._as_root(["ls"]) == ("sudo", "-n", "--", "ls")

    def test_long_commands_are_short_in_messages(self) -> None:
        assert connection._short(["sh", "-c", "one\ntwo"]) == "sh -c one ..."
        assert connection._short(["x" * 100]) == "x" * 80 + " ..."
        assert connection._short(["ls", "-l"]) == "ls -l"


class TestFailures:
    @pytest.mark.parametrize(
        ("stderr", "expected"),
        [
            ("cat: write error: No space left on device", "the disk is full: /x"),
            ("sh: 1: cannot create /x: Read-only file system", "/x could not be written: sh"),
            ("something", "/x could not be written: something"),
            ("", "/x could not be written: status 1"),
        ],
    )
    def test_explained(self, stderr: str, expected: str) -> None:
        done = commands.Command(("sh",), 1, "", stderr)
        error = files.explain_failure("node1", "/x", done)
        assert isinstance(error, errors.ProviderError)
        assert str(error).startswith(f"node1: {expected}")


class TestLean:
    def test_paramiko_is_loaded_without_invoke(self) -> None:
        script = (
            "import sys; from labkit.ssh import wire;"
            "assert 'paramiko' in sys.modules; assert 'invoke' not in sys.modules; import invoke"
        )
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_paramiko_is_loaded_without_looking_up_its_version(self) -> None:
        script = (
            "import sys; from labkit.ssh import wire;"
            "assert not {'importlib.metadata', 'email.message'} & set(sys.modules);"
            "from importlib import metadata; assert metadata.version('paramiko')[0].isdigit()"
        )
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_versions_that_are_loaded_stay(self) -> None:
        from importlib import metadata

        with lean.without_versions():
            from importlib import metadata as again
        assert again is metadata

    def test_a_pool_loads_no_paramiko(self) -> None:
        script = "import sys; from labkit.ssh import pool; assert 'paramiko' not in sys.modules"
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_what_is_loaded_stays(self) -> None:
        with lean.without("sys"):
            import sys as again
        assert again is sys
