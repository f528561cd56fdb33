"""The vagrant provider with a `vagrant` that makes nothing, and machines with a real sshd."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from labkit import errors
from labkit.model import commands, events, spec
from labkit.providers.vagrant import calls, contact, machines, provider
from labkit.ssh import connection, keys
from tests.unit.providers.conftest import Fake


def test_a_lab_that_was_never_made_asks_vagrant_nothing(fake: Fake) -> None:
    assert fake.states() == {"control": "absent", "node1": "absent"}
    fake.provider.stop()
    fake.provider.purge()
    assert fake.provider.snapshots() == ()
    assert fake.calls() == []


def test_up_is_one_call_for_all_and_pins_what_it_meets(fake: Fake) -> None:
    assert fake.ensure() == ("control", "node1")
    assert fake.calls() == ["up control node1 --no-provision", "ssh-config control node1"]
    for name, node in fake.nodes.items():
        assert keys.same(fake.provider.endpoint(name).host_key, node.endpoint.host_key)
        with node.connect() as session:
            accepted = session.run(["cat", "/root/.ssh/authorized_keys"]).stdout
        assert accepted == fake.paths.private_key.with_suffix(".pub").read_text()
    told = fake.state["environment"]
    assert told["LABKIT_MACHINES"] == "control=192.168.56.10,node1=192.168.56.11"
    assert fake.ensure() == ()
    assert fake.calls() == ["status --machine-readable"]


def test_only_machines_that_run_are_asked_for_their_sshd(fake: Fake) -> None:
    fake.ensure()
    fake.provider.stop()
    assert fake.provider.start(["node1"], events.Progress(events.ignore, total=1)) == ("node1",)
    assert fake.calls()[-1] == "ssh-config node1"


def test_containers_are_made_one_by_one(fake: Fake) -> None:
    lab = dataclasses.replace(fake.lab, vagrant=spec.VagrantSpec(provider="lxc"))
    made = provider.VagrantProvider(lab, fake.paths)
    made.ensure(events.Progress(events.ignore, total=1))
    assert fake.calls()[0] == "up control node1 --no-provision --no-parallel"
    with pytest.raises(errors.NotSupported, match="provider lxc cannot have before"):
        made.snapshot_save("before")


def test_one_machine_stops_and_starts_while_the_others_go_on(fake: Fake) -> None:
    fake.ensure()
    fake.provider.stop(["node1"])
    assert fake.states() == {"control": "running", "node1": "stopped"}
    fake.calls()
    assert fake.ensure() == ("node1",)
    assert fake.calls()[1:] == ["up node1 --no-provision", "ssh-config control node1"]


@pytest.mark.parametrize("state", ["shutoff", "saved", "paused", "aborted", "preparing"])
def test_whatever_does_not_run_is_brought_up(fake: Fake, state: str) -> None:
    fake.ensure()
    table = fake.state["machines"]
    table["node1"]["state"] = state
    fake.change(machines=table)
    assert fake.states()["node1"] == "stopped"
    assert fake.ensure() == ("node1",)


def test_another_machine_at_the_place_of_one_that_is_known_is_refused(fake: Fake) -> None:
    fake.ensure()
    table = fake.state["machines"]
    table["node1"] |= {"state": "shutoff", "port": table["control"]["port"]}
    fake.change(machines=table)
    with pytest.raises(errors.ConnectionFailed, match="shows the host key"):
        fake.ensure()


def test_one_that_runs_and_was_never_met_is_not_talked_to(fake: Fake) -> None:
    """An `up` was cut short after Vagrant had started it."""
    fake.ensure()
    (fake.paths.state / "vagrant" / "machines.json").unlink()
    met = connection.Connection(fake.provider.endpoint("node1"), commands.CommandLog())
    with pytest.raises(errors.ConnectionFailed, match="host key is not known yet"):
        met.run(["true"])


def test_one_that_was_destroyed_behind_our_back_is_made_and_met_anew(fake: Fake) -> None:
    fake.ensure()
    table = fake.state["machines"]
    table["node1"] |= {"state": "not_created", "port": table["control"]["port"]}
    fake.change(machines=table)
    assert fake.states()["node1"] == "absent"
    assert fake.ensure() == ("node1",)
    assert fake.provider.endpoint("node1").host_key == fake.provider.endpoint("control").host_key


def test_a_machine_that_the_lab_has_no_more_is_destroyed(fake: Fake) -> None:
    fake.ensure()
    table = fake.state["machines"] | {"node9": fake.state["machines"]["node1"]}
    fake.change(machines=table)
    mark = fake.paths.state / "vagrant/.vagrant/machines/node9/fake/id"
    mark.parent.mkdir(parents=True)
    mark.write_text("9")
    fake.calls()
    fake.ensure()
    assert fake.calls()[0] == "destroy node9 --force"
    assert not mark.exists()


def test_purge_destroys_and_forgets(fake: Fake) -> None:
    fake.ensure()
    fake.calls()
    fake.provider.purge()
    assert fake.calls() == ["destroy control node1 --force"]
    assert not (fake.paths.state / "vagrant").exists()
    assert set(fake.states().values()) == {"absent"}


def test_snapshots(fake: Fake) -> None:
    fake.ensure()
    fake.provider.snapshot_save("before")
    assert fake.provider.snapshots() == ("before",)
    fake.calls()
    fake.provider.snapshot_restore("before")
    assert fake.calls() == ["snapshot restore --no-provision before"]
    fake.provider.snapshot_delete("before")
    assert fake.provider.snapshots() == ()


def test_a_failed_up_says_why_and_the_next_one_goes_on(fake: Fake) -> None:
    fake.change(fails={"up": "Name `lk-t-node1` of domain about to create is already taken.\n"})
    with pytest.raises(errors.Busy, match="another lab has a machine lk-t-node1"):
        fake.ensure()
    fake.change(fails={})
    assert fake.ensure() == ("control", "node1")


def test_machines_never_raises(fake: Fake) -> None:
    fake.ensure()
    fake.change(fails={"status": "everything is broken\n"})
    found = fake.provider.machines()
    assert {each.state for each in found} == {"stopped"}
    assert "everything is broken" in found[0].detail


def test_without_vagrant_it_is_said(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.NotSupported, match="Vagrant is not installed"):
        fake.ensure()


def test_too_little_memory_is_said_before_anything_starts(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "free_memory_mib", lambda: 1500)
    with pytest.raises(errors.ProviderError, match="2 machines take 2048 MiB of memory"):
        fake.ensure()
    assert fake.calls() == []


def test_too_little_disk_is_said_before_anything_starts() -> None:
    with pytest.raises(errors.DiskFull, match="3 new machines take 3072 MiB"):
        machines.check_room(spec.plan(provider="vagrant"), 3, 3, memory_mib=None, disk_mib=3000)


def test_dial_says_which_machine_does_not_run(fake: Fake) -> None:
    fake.ensure()
    fake.provider.stop(["node1"])
    port = fake.nodes["control"].endpoint.port
    with fake.provider.dial("127.0.0.1", port) as sock:
        assert sock.recv(7) == b"SSH-2.0"
    fake.provider.stop()
    with pytest.raises(errors.ConnectionFailed, match="the lab is not running"):
        fake.provider.dial("127.0.0.1", 9)


class Late:
    """A connection to a machine that takes its time, to connect most of all."""

    def __init__(self, *delays_s: int) -> None:
        self.delays_s, self.asked = list(delays_s), 0

    def connect(self) -> None:
        self.delays_s.pop(0)

    def script(self, text: str, *, args: Sequence[str]) -> commands.Command:
        self.asked += 1
        late = self.delays_s.pop(0) if self.delays_s else 0
        return commands.Command((), 0, f"{int(args[0]) - late}\n", "", 0.0)


@pytest.mark.parametrize(
    ("delays_s", "asked"), [((9,), 1), ((9, 0), 1), ((9, 7, 0), 2), ((9, 7, 7, 7, 7, 7, 7), 5)]
)
def test_a_clock_is_set_until_it_is_right(delays_s: tuple[int, ...], asked: int) -> None:
    late = Late(*delays_s)
    contact.set_clock(cast("connection.Connection", late))
    assert late.asked == asked


def test_the_provider_that_fits() -> None:
    assert machines.choose_provider("hyperv", lambda _: True) == "hyperv"
    assert machines.choose_provider("", lambda program: program == "VBoxManage") == "virtualbox"
    assert machines.choose_provider("", lambda _: False) == ""


def test_the_vagrantfile_reads_every_variable_that_it_is_told() -> None:
    text = machines.read_vagrantfile()
    told = machines.plan_environment(spec.plan(provider="vagrant"), "libvirt", Path("/k"))
    for name in told.keys() - {"VAGRANT_DEFAULT_PROVIDER"}:
        assert f'"{name.removeprefix("LABKIT_")}"' in text


def test_ssh_config_of_many_hosts() -> None:
    text = 'Host a\n  HostName 10.0.0.1\n  User v\n  IdentityFile "/k 1"\n\nHost b\n'
    text += "  HostName 10.0.0.2\n  User v\n  Port 2222\n"
    assert calls.parse_ssh_config(text) == {
        "a": calls.SshDetails("10.0.0.1", 22, "v", ("/k 1",)),
        "b": calls.SshDetails("10.0.0.2", 2222, "v", ()),
    }
