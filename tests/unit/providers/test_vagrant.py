"""The vagrant provider with a `vagrant` that makes nothing, and machines with a real sshd."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labkit import errors, paths
from labkit.model import events, spec
from labkit.providers.vagrant import calls, faults, machines, provider
from labkit.ssh import keys
from tests.contracts import machine

FAKE = Path(__file__).with_name("fake_vagrant.py")


@dataclass
class Fake:
    """The file that the fake `vagrant` reads and writes, and the provider that calls it."""

    file: Path
    lab: spec.LabSpec
    paths: paths.LabPaths
    provider: provider.VagrantProvider
    nodes: dict[str, machine.Machine]

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.file.read_text()))

    def change(self, **what: Any) -> None:
        self.file.write_text(json.dumps(self.state | what))

    def calls(self) -> list[str]:
        """What `vagrant` was called with since this was asked last."""
        said = list(self.state["calls"])
        self.change(calls=[])
        return said

    def states(self) -> dict[str, str]:
        return {each.name: each.state for each in self.provider.machines()}

    def ensure(self) -> tuple[str, ...]:
        return self.provider.ensure(events.Progress(events.ignore, total=1))


@pytest.fixture
def fake(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    (home / "bin").mkdir()
    shutil.copy(FAKE, home / "bin" / "vagrant")
    (home / "bin" / "vagrant").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin")
    monkeypatch.setenv("FAKE_VAGRANT", str(home / "state.json"))
    monkeypatch.setattr(machines, "free_memory_mib", lambda: 4096)
    lab = spec.plan("t", provider="vagrant", workers=1)
    where = paths.of("t")
    pair = keys.generate_ed25519()
    keys.write_key(where.private_key, pair.private_openssh)
    where.private_key.with_suffix(".pub").write_text(f"{pair.public}\n")
    with contextlib.ExitStack() as stack:
        nodes = {node.name: stack.enter_context(machine.serve()) for node in lab.machines}
        for each in nodes.values():  # as a box accepts Vagrant's key, and then the lab's too
            with (each.folder / "user_key.pub").open("a") as accepted:
                accepted.write(f"\n{pair.public}\n")
        table = {
            name: {
                "state": "not_created",
                "port": each.endpoint.port,
                "key": str(each.endpoint.private_key),
            }
            for name, each in nodes.items()
        }
        (home / "state.json").write_text(
            json.dumps({"machines": table, "calls": [], "fails": {}, "snapshots": []})
        )
        made = provider.VagrantProvider(lab, where)
        yield Fake(home / "state.json", lab, where, made, nodes)


def test_a_lab_that_was_never_made_asks_vagrant_nothing(fake: Fake) -> None:
    assert fake.states() == {"control": "absent", "node1": "absent"}
    fake.provider.stop()
    fake.provider.purge()
    assert fake.provider.snapshots() == ()
    assert fake.calls() == []


def test_up_is_one_call_for_all_and_pins_what_it_meets(fake: Fake) -> None:
    assert fake.ensure() == ("control", "node1")
    assert fake.calls() == ["up control node1 --no-provision", "ssh-config"]
    for name, node in fake.nodes.items():
        assert keys.same(fake.provider.endpoint(name).host_key, node.endpoint.host_key)
        with node.connect() as session:
            accepted = session.run(["cat", "/root/.ssh/authorized_keys"]).stdout
        assert accepted == fake.paths.private_key.with_suffix(".pub").read_text()
    told = fake.state["environment"]
    assert told["LABKIT_MACHINES"] == "control=192.168.56.10,node1=192.168.56.11"
    assert fake.ensure() == ()
    assert fake.calls() == ["status --machine-readable"]


def test_one_machine_stops_and_starts_while_the_others_go_on(fake: Fake) -> None:
    fake.ensure()
    fake.provider.stop(["node1"])
    assert fake.states() == {"control": "running", "node1": "stopped"}
    fake.calls()
    assert fake.ensure() == ("node1",)
    assert fake.calls()[1:] == ["up node1 --no-provision", "ssh-config"]


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
    with pytest.raises(errors.ProviderError, match="of another lab lk-t-node1"):
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


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        ("qemu-img: No space left on device", errors.DiskFull, "the disk is full"),
        ("another process is already executing an action", errors.Busy, "another `vagrant`"),
        ("The provider 'libvirt' could not be found, but", errors.NotSupported, "libvirt"),
        ("No usable default provider could be found", errors.NotSupported, "no provider that"),
        ("VT-x is not available (VERR_VMX_NO_VMX)", errors.NotSupported, "no virtualisation"),
        ("Could not access KVM kernel module", errors.NotSupported, "no virtualisation"),
        ("The box 'x' could not be found or\ncould not be", errors.ProviderError, "the box"),
        ("Couldn't resolve host 'vagrantcloud.com'", errors.ProviderError, "the box"),
        ("The network collides with an interface", errors.ProviderError, "clashes"),
        (
            "The IP address configured for the host-only network is not within the\nallowed ranges",
            errors.ProviderError,
            "clashes",
        ),
        ("Cannot allocate memory", errors.ProviderError, "not enough memory"),
        ("Timed out while waiting for the machine to boot.", errors.TimedOut, "did not answer"),
        ("SSH authentication failed! This is", errors.ConnectionFailed, "lab's key"),
        (
            "A VirtualBox machine with the name 'lk-a-node1' already exists",
            errors.ProviderError,
            "lk-a-node1",
        ),
        ("The provider doesn't support snapshots", errors.NotSupported, "no snapshots"),
        ("The snapshot name `x` was not found", errors.NothingMatched, "no such snapshot"),
        ("what nobody thought of", errors.ProviderError, "what nobody thought of"),
        ("", errors.ProviderError, "it said nothing"),
    ],
)
def test_faults(said: str, kind: type[errors.LabkitError], match: str) -> None:
    error = faults.explain(said, "up")
    assert type(error) is kind
    assert match in error.message
    assert error.hint


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
