"""The embedded provider: the contract that all share, and what only namespaces can get wrong."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit import errors, paths
from labkit.model import spec
from labkit.providers.netns import launch, provider, record, wire
from labkit.ssh import keys
from tests.contracts import provider as contract

pytestmark = pytest.mark.lab


def make(name: str = "t", *, workers: int = 2, clients: int = 1) -> contract.Lab:
    """A lab whose keys exist, as `Lab.up` makes them before it asks for machines."""
    lab, where = spec.plan(name, workers=workers, clients=clients), paths.of(name)
    pair = keys.generate_ed25519()
    keys.write_key(where.private_key, pair.private_openssh)
    where.private_key.with_suffix(".pub").write_text(pair.public)
    return contract.Lab(lab, where, provider.NetnsProvider(lab, where))


@pytest.fixture
def lab(home: Path) -> Iterator[contract.Lab]:
    made = make(workers=1)
    yield made
    made.provider.purge()


class TestNetns(contract.Contract):
    @pytest.fixture
    def lab(self, home: Path) -> Iterator[contract.Lab]:
        made = make()
        yield made
        made.provider.purge()


def holder(lab: contract.Lab) -> int:
    return launch.holder_pid(lab.paths.holder_socket)


def kill(pid: int) -> None:
    """Kill a process of ours and wait until the kernel has ended it."""
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)


def own_network() -> list[str]:
    """Interfaces, addresses, routes, rules and ports of the machine that the tests run on."""
    looks = (
        ["ip", "-br", "link"],
        ["ip", "-br", "addr"],
        ["ip", "rule"],
        ["ip", "route", "show", "table", "all"],
        ["ss", "-Hltu"],
    )
    seen = [
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout for argv in looks
    ]
    return [" ".join(sorted(text.split("\n"))) for text in seen]


def test_the_learners_machine_gets_no_interface_route_or_port(lab: contract.Lab) -> None:
    before = own_network()
    lab.provider.ensure(contract.progress())
    assert own_network() == before


def test_two_labs_with_the_same_addresses_do_not_meet(home: Path) -> None:
    labs = [make("one", workers=1, clients=0), make("two", workers=1, clients=0)]
    try:
        for each in labs:
            each.provider.ensure(contract.progress())
            contract.said(each, "node1", "sh", "-c", f"echo {each.spec.name} >/root/name")
        assert [contract.said(each, "node1", "cat", "/root/name") for each in labs] == [
            "one",
            "two",
        ]
        labs[0].provider.stop()
        assert contract.said(labs[1], "node1", "cat", "/root/name") == "two"
    finally:
        for each in labs:
            each.provider.purge()


def test_a_machine_sees_programs_read_only_and_no_home(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    with contract.ssh(lab, "node1") as session:
        assert session.run(["touch", "/usr/x"], check=False).exit_status != 0
        assert session.run(["touch", "/boot/x"], check=False).exit_status != 0
        assert session.run(["sh", "-c", "ls -A /home /root"]).stdout.split() == [
            "/home:",
            "/root:",
            ".ssh",
        ]
        shadow = session.run(["cat", "/etc/shadow"]).stdout
    assert shadow.splitlines() == ["root:NP:20000:0:99999:7:::"]


def test_a_restart_mends_what_a_learner_broke(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    contract.said(lab, "node1", "sh", "-c", "echo nonsense >/etc/ssh/sshd_config; echo >/etc/hosts")
    lab.provider.stop(["node1"])
    lab.provider.ensure(contract.progress())
    assert "control" in contract.said(lab, "node1", "cat", "/etc/hosts")


def test_an_sshd_that_was_killed_comes_back(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    with contract.ssh(lab, "node1") as session:
        listener = "pgrep -o -x sshd"
        before = session.run(["sh", "-c", listener]).stdout
        session.run(["sh", "-c", f"kill -9 $({listener})"])
    assert patiently(lab, "node1", "sh", "-c", listener) != before


def patiently(lab: contract.Lab, node: str, *argv: str) -> str:
    """Ask again while sshd is on its way back: a refused connection answers at once."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return contract.said(lab, node, *argv)
        except errors.ConnectionFailed:
            if time.monotonic() > deadline:
                raise


def test_a_node_whose_init_was_killed_is_mended_and_its_peers_are_not_disturbed(
    lab: contract.Lab,
) -> None:
    lab.provider.ensure(contract.progress())
    with contract.ssh(lab, "control") as bystander:
        bystander.run(["true"])
        kill(init_of("node1", holder(lab)))
        deadline = time.monotonic() + 10
        while contract.states(lab)["node1"] == "running":
            assert time.monotonic() < deadline
        assert contract.states(lab) == {
            "control": "running",
            "node1": "stopped",
            "client": "running",
        }
        assert lab.provider.ensure(contract.progress()) == ("node1",)
        bystander.run(["true"])


def init_of(node: str, ancestor: int) -> int:
    """The process id, on this machine, of a node's PID 1."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
            status = Path(path.parent, "status").read_text()
        except OSError:
            continue
        if words[1:3] == ["/run/node.sh", node] and "NSpid" in status:
            parents = chain(int(path.parent.name))
            if ancestor in parents and len(nspids(status)) == nesting(ancestor) + 1:
                return int(path.parent.name)
    raise AssertionError(f"no process is {node}'s init")


def nspids(status: str) -> list[str]:
    line = next(each for each in status.splitlines() if each.startswith("NSpid:"))
    return line.split()[1:]


def nesting(pid: int) -> int:
    return len(nspids(Path(f"/proc/{pid}/status").read_text()))


def chain(pid: int) -> list[int]:
    """The process and its ancestors."""
    found = [pid]
    while found[-1] > 1:
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text().rsplit(")", 1)[1].split()[1]))
    return found


def test_a_killed_holder_takes_everything_along_and_ensure_starts_anew(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    kill(holder(lab))
    assert set(contract.states(lab).values()) == {"stopped"}
    assert len(lab.provider.ensure(contract.progress())) == 3


def test_a_holder_that_hangs_is_killed(lab: contract.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "END_TIMEOUT_S", 0.3)
    lab.provider.ensure(contract.progress())
    pid = holder(lab)
    os.kill(pid, signal.SIGSTOP)
    lab.provider.stop()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("verb", ["stop", "ensure"])
def test_a_holder_whose_socket_is_gone_is_not_left_behind(lab: contract.Lab, verb: str) -> None:
    """A user's runtime folder goes when the user logs out."""
    lab.provider.ensure(contract.progress())
    pid = holder(lab)
    shutil.rmtree(lab.paths.runtime)
    assert set(contract.states(lab).values()) == {"stopped"}
    if verb == "stop":
        lab.provider.stop()
    else:
        assert len(lab.provider.ensure(contract.progress())) == 3
    assert not Path(f"/proc/{pid}").exists()


def test_a_record_names_one_process_and_no_later_one(tmp_path: Path) -> None:
    note = tmp_path / "holder"
    assert record.read(note) == 0
    record.write(note, os.getpid())
    assert record.read(note) == os.getpid()
    note.write_text(note.read_text().replace(" ", " 1", 1))
    assert record.read(note) == 0
    note.write_text("rubbish")
    assert record.read(note) == 0


def test_a_record_of_a_process_that_has_ended_names_none(tmp_path: Path) -> None:
    note = tmp_path / "holder"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as ended:
        record.write(note, ended.pid)
        pidfd = os.pidfd_open(ended.pid)
        ended.kill()
        assert select.select([pidfd], [], [], 10)[0]
        os.close(pidfd)
        assert record.read(note) == 0  # a zombie: nobody has waited for it yet


def test_a_half_made_disk_is_made_again(lab: contract.Lab) -> None:
    half = lab.paths.state / "nodes" / "node1" / "etc"
    half.mkdir(parents=True)
    (half / "alternatives").symlink_to("/nowhere")
    lab.provider.ensure(contract.progress())
    assert contract.said(lab, "node1", "hostname") == "node1"


def test_a_machine_that_cannot_start_says_why(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    lab.provider.stop()
    key = lab.paths.state / "nodes/node1/etc/ssh/ssh_host_ed25519_key"
    key.write_text("not a key")
    with pytest.raises(errors.ProviderError, match=r"node1: the machine did not start: .*host key"):
        lab.provider.ensure(contract.progress())


def test_nothing_is_left_of_a_lab_that_was_stopped(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    pid = holder(lab)
    begun = time.monotonic()
    lab.provider.stop()
    assert time.monotonic() - begun < 5
    assert not Path(f"/proc/{pid}").exists()
    assert not lab.paths.runtime.exists()


def test_other_users_requests_are_not_answered(lab: contract.Lab) -> None:
    """The folder keeps them out; the holder would not listen even if it did not."""
    lab.provider.ensure(contract.progress())
    if os.geteuid():
        assert lab.paths.runtime.stat().st_mode & 0o077 == 0
        return
    lab.paths.runtime.chmod(0o755)
    for folder in [lab.paths.runtime, *lab.paths.runtime.parents][:3]:
        folder.chmod(0o755)
    lab.paths.holder_socket.chmod(0o777)
    program = (
        "import json,os,socket,sys\n"
        "os.setuid(65534)\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET);s.connect(sys.argv[1])\n"
        "s.send(json.dumps({'op':'status'}).encode());print(s.recv(100))\n"
    )
    argv = ["/usr/bin/python3", "-c", program, str(lab.paths.holder_socket)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "nodes" not in answer.stdout


def test_a_status_request_is_answered_while_a_connection_is_silent(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    with wire.connect(str(lab.paths.holder_socket), 5):
        assert set(contract.states(lab).values()) == {"running"}


def test_no_permission_for_namespaces_is_said_so(
    lab: contract.Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text(
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2; exit 1\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(errors.NotSupported, match="Operation not permitted") as caught:
        lab.provider.ensure(contract.progress())
    assert "labkit doctor" in caught.value.hint
    assert caught.value.exit_code == 5


def test_messages_are_json(lab: contract.Lab) -> None:
    lab.provider.ensure(contract.progress())
    reply, fds = wire.ask(str(lab.paths.holder_socket), {"op": "status"})
    assert json.loads(json.dumps(reply)) == reply
    assert fds == []
