"""What every provider must do. A provider's test class inherits this and brings the fixture.

class TestNetns(provider.Contract):
    @pytest.fixture()
    def lab(self, home): ...
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import pytest

from labkit import errors, paths
from labkit.model import commands, events, spec
from labkit.providers import base
from labkit.providers.vagrant import machines
from labkit.ssh import connection


@dataclass(frozen=True)
class Lab:
    """A provider that has not made anything yet, and what it is to make."""

    spec: spec.LabSpec
    paths: paths.LabPaths
    provider: base.Provider


def progress() -> events.Progress:
    return events.Progress(events.ignore, total=1)


def ssh(lab: Lab, node: str) -> connection.Connection:
    return connection.Connection(lab.provider.endpoint(node), commands.CommandLog())


def said(lab: Lab, node: str, *argv: str) -> str:
    with ssh(lab, node) as session:
        return session.run(argv).stdout.strip()


def states(lab: Lab) -> dict[str, str]:
    return {machine.name: machine.state for machine in lab.provider.machines()}


class Contract:
    """The suite. `lab` is a fixture of the class that inherits it, and leaves nothing behind.

    It may be one lab for all tests, with machines that are there already, where they take a minute
    to boot; then `unmade` is another. The last test purges it.
    """

    @pytest.fixture
    def unmade(self, lab: Lab) -> Lab:
        return lab

    def test_a_lab_that_was_never_made_has_absent_machines(self, unmade: Lab) -> None:
        assert set(states(unmade).values()) == {"absent"}

    def test_ensure_starts_every_machine_and_then_nothing(self, lab: Lab) -> None:
        lab.provider.stop()
        assert lab.provider.ensure(progress()) == tuple(node.name for node in lab.spec.machines)
        assert set(states(lab).values()) == {"running"}
        assert lab.provider.ensure(progress()) == ()

    def test_every_machine_is_a_host_of_its_own(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        for node in lab.spec.machines:
            assert said(lab, node.name, "hostname") == node.name
            assert str(node.address) in said(lab, node.name, "ip", "-4", "address")
            said(lab, node.name, "sh", "-c", f"echo {node.name} >/etc/whoami")
        for node in lab.spec.machines:
            assert said(lab, node.name, "cat", "/etc/whoami") == node.name

    def test_machines_reach_each_other(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        names = [node.name for node in lab.spec.machines]
        for name, other in zip(names, names[1:] + names[:1], strict=True):
            address = str(lab.spec.node(other).address)
            banner = said(lab, name, "bash", "-c", f"head -c 7 </dev/tcp/{address}/22")
            assert banner == "SSH-2.0"

    def test_the_host_key_is_known_before_the_first_connection(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        known = {lab.provider.endpoint(node.name).host_key for node in lab.spec.machines}
        assert len(known) == len(lab.spec.machines)

    def test_one_machine_stops_and_starts_while_the_others_go_on(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        if isinstance(lab.provider, base.Borrowed):
            with pytest.raises(errors.NotSupported, match="cannot stop node1: hosts are switched"):
                lab.provider.stop(["node1"])
            return
        with ssh(lab, "control") as bystander:
            bystander.run(["true"])
            lab.provider.stop(["node1"])
            assert states(lab)["node1"] == "stopped"
            assert lab.provider.ensure(progress()) == ("node1",)
            bystander.run(["true"])
        assert said(lab, "node1", "hostname") == "node1"

    def test_start_leaves_alone_whom_it_does_not_name(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        if isinstance(lab.provider, base.Borrowed):
            with pytest.raises(errors.NotSupported, match="cannot start node1: hosts are switched"):
                lab.provider.start(["node1"], progress())
            return
        lab.provider.stop(["node1", "control"])
        assert lab.provider.start(["node1"], progress()) == ("node1",)
        assert (states(lab)["control"], states(lab)["node1"]) == ("stopped", "running")
        assert lab.provider.start(["node1"], progress()) == ()

    def test_a_snapshot_brings_back_what_was_or_is_refused_by_name(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        if lab.spec.provider != "vagrant" or lab.spec.vagrant.provider in machines.NO_SNAPSHOTS:
            name = lab.spec.vagrant.provider or lab.spec.provider
            with pytest.raises(errors.NotSupported, match=f"provider {name} cannot have before"):
                lab.provider.snapshot_save("before")
            return
        others = set(lab.provider.snapshots())
        lab.provider.snapshot_save("before")
        said(lab, "node1", "touch", "/root/after")
        lab.provider.snapshot_restore("before")
        assert "after" not in said(lab, "node1", "ls", "/root").split()
        assert abs(int(said(lab, "node1", "date", "+%s")) - time.time()) < 3
        assert set(lab.provider.snapshots()) == {*others, "before"}
        lab.provider.snapshot_delete("before")
        assert set(lab.provider.snapshots()) == others

    def test_dial_reaches_a_port_inside_the_lab(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        with lab.provider.dial(str(lab.spec.control.address), 22) as sock:
            assert isinstance(sock, socket.socket)
            assert sock.recv(7) == b"SSH-2.0"

    def test_dial_says_what_does_not_answer(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        with pytest.raises(errors.ConnectionFailed, match=r"192\.168\.56\.10 port 9"):
            lab.provider.dial(str(lab.spec.control.address), 9)
        if isinstance(lab.provider, base.Borrowed):
            return  # it cannot stop one
        lab.provider.stop(["node1"])
        with pytest.raises(errors.ConnectionFailed, match="node1 is not running"):
            lab.provider.dial(str(lab.spec.node("node1").address), 22)
        lab.provider.stop()
        with pytest.raises(errors.ConnectionFailed, match="not running"):
            lab.provider.dial(str(lab.spec.control.address), 22)

    def test_an_unknown_machine_is_refused_by_name(self, lab: Lab) -> None:
        with pytest.raises(errors.NothingMatched, match="node7"):
            lab.provider.endpoint("node7")

    def test_disks_survive_stop_and_not_purge_and_both_may_be_said_twice(self, lab: Lab) -> None:
        lab.provider.ensure(progress())
        said(lab, "node1", "sh", "-c", "echo kept >/root/note")
        lab.provider.stop()
        lab.provider.stop()
        if isinstance(lab.provider, base.Borrowed):
            assert set(states(lab).values()) == {"absent"}  # given back, and none of the lab's
        else:
            assert set(states(lab).values()) == {"stopped"}
            lab.provider.ensure(progress())
            assert said(lab, "node1", "cat", "/root/note") == "kept"
        lab.provider.purge()
        lab.provider.purge()
        assert set(states(lab).values()) == {"absent"}
        lab.provider.stop()
