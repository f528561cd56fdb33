"""What can go wrong with Vagrant: each with its own words, what to do, a status, and a lab that
`up` can go on with. What Vagrant says is in its own words, with its line breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import errors
from labkit.cli import failures
from labkit.providers.vagrant import faults, provider
from labkit.ssh import keys
from tests.unit.providers.conftest import Fake

LOCKED = """\
Vagrant can't use the requested machine because it is locked! This
means that another Vagrant process is currently reading or modifying
the machine. Please wait for that Vagrant process to end and try
again. Details about the machine are shown below:

Name: node1
Provider: libvirt
"""
ACTING = """\
An action 'up' was attempted on the machine 'node1',
but another process is already executing an action on the machine.
Vagrant locks each machine for access by only one process at a time.
"""
NOT_DOWNLOADED = """\
The box 'cloud-image/debian-12' could not be found or
could not be accessed in the remote catalog. If this is a private
box on HashiCorp's Vagrant Cloud, please verify you're logged in via
`vagrant login`.
"""
NO_NAMES = """\
There was an error while downloading the metadata for this box.
The error message is shown below:

Couldn't resolve host 'vagrantcloud.com'
"""
NO_BOX_FOR_IT = """\
The box you're attempting to add doesn't support the provider
you requested. Please find an alternate box or use an alternate
provider. Double-check your requested provider to verify you didn't
simply misspell it.
"""
NO_PLUGIN = """\
The provider 'libvirt' could not be found, but was requested to
back the machine 'control'. Please use a provider that exists.
"""
NO_PROVIDER = """\
No usable default provider could be found for your system.

Vagrant relies on interactions with 3rd party systems, known as
"providers", to provide Vagrant with resources to run development
environments. Examples are VirtualBox, VMware, Hyper-V.
"""
NO_VIRTUALISATION = """\
Stderr: VBoxManage: error: VT-x is not available (VERR_VMX_NO_VMX)
VBoxManage: error: Details: code NS_ERROR_FAILURE (0x80004005)
"""
COLLIDES = """\
The specified host network collides with a non-hostonly network!
This will cause your specified IP to be inaccessible. Please change
the IP or name of your host only network so that it no longer matches that of
a bridged or non-hostonly network.
"""
NOT_ALLOWED = """\
The IP address configured for the host-only network is not within the
allowed ranges. Please update the address used to be within the allowed
ranges and run the command again.
"""
IN_USE = (
    "Error while activating network: Call to virNetworkCreate failed: internal error: "
    "Network is already in use by interface virbr7.\n"
)
OF_ANOTHER_NAME = "Address 192.168.56.10 does not match with network name lk-t. Please fix.\n"
NO_ROOM = (
    "Error while creating volume for domain: Call to virStorageVolCreateXML failed: "
    "cannot write data to file: No space left on device\n"
)
SILENT = """\
Timed out while waiting for the machine to boot. This means that
Vagrant was unable to communicate with the guest machine within
the configured ("config.vm.boot_timeout" value) time period.
"""
NOT_ACCEPTED = """\
SSH authentication failed! This is typically caused by the public/private
keypair for the SSH user not being properly set on the guest VM.
"""
NAME_TAKEN = "Name `lk-t-node1` of domain about to create is already taken. Please try to run\n"


@pytest.mark.parametrize(
    ("said", "kind", "status", "what", "remedy"),
    [
        (LOCKED, errors.Busy, 7, "another `vagrant` is working", "wait for it"),
        (ACTING, errors.Busy, 7, "another `vagrant` is working", "wait for it"),
        (NO_ROOM, errors.DiskFull, 1, "the disk is full", "make room"),
        (SILENT, errors.TimedOut, 6, "did not answer", "virsh console"),
        (NOT_ACCEPTED, errors.ConnectionFailed, 1, "accept the lab's key", "down --purge"),
        (COLLIDES, errors.ProviderError, 1, "network clashes", "[network] machines"),
        (NOT_ALLOWED, errors.ProviderError, 1, "network clashes", "[network] machines"),
        (IN_USE, errors.ProviderError, 1, "network clashes", "[network] machines"),
        (OF_ANOTHER_NAME, errors.ProviderError, 1, "network clashes", "[network] machines"),
        (NOT_DOWNLOADED, errors.ProviderError, 1, "the box is not to be had", "box build"),
        (NO_NAMES, errors.ProviderError, 1, "the box is not to be had", "box build"),
        (NO_BOX_FOR_IT, errors.ProviderError, 1, "the box is not to be had", "box build"),
        (NO_PLUGIN, errors.NotSupported, 5, "no provider libvirt", "vagrant-libvirt"),
        (NO_PROVIDER, errors.NotSupported, 5, "no provider that", "labkit doctor"),
        (NO_VIRTUALISATION, errors.NotSupported, 5, "no virtualisation", "firmware"),
        (NAME_TAKEN, errors.Busy, 7, "another lab has a machine lk-t-node1", "another `name`"),
    ],
)
def test_up_says_why_it_failed_and_the_next_one_goes_on(
    fake: Fake, said: str, kind: type[errors.LabkitError], status: int, what: str, remedy: str
) -> None:
    fake.change(fails={"up": said}, before_failing=["control"])
    with pytest.raises(kind) as caught:
        fake.ensure()
    failure = failures.explain(caught.value, "up")
    assert (failure.exit_status, type(caught.value)) == (status, kind)
    assert what in failure.message
    assert remedy in failure.hint
    assert said.splitlines()[0] in "\n".join(failure.notes)
    assert fake.states() == {"control": "running", "node1": "absent"}
    fake.change(fails={})
    assert fake.ensure() == ("node1",)
    for name, node in fake.nodes.items():
        assert keys.same(fake.provider.endpoint(name).host_key, node.endpoint.host_key)


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        ("Could not access KVM kernel module", errors.NotSupported, "no virtualisation"),
        ("Cannot allocate memory", errors.ProviderError, "not enough memory"),
        (
            "A VirtualBox machine with the name 'lk-a-node1' already exists",
            errors.Busy,
            "lk-a-node1",
        ),
        ("The provider doesn't support snapshots", errors.NotSupported, "no snapshots"),
        ("The snapshot name `x` was not found", errors.NothingMatched, "no such snapshot"),
        ("what nobody thought of", errors.ProviderError, "what nobody thought of"),
        ("", errors.ProviderError, "it said nothing"),
    ],
)
def test_what_else_vagrant_says(said: str, kind: type[errors.LabkitError], match: str) -> None:
    error = faults.explain(said, "up")
    assert type(error) is kind
    assert match in error.message
    assert error.hint


def test_a_machine_that_runs_and_never_answers(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    table = fake.state["machines"]
    there = table["node1"]["port"]
    table["node1"]["port"] = 9
    fake.change(machines=table)
    monkeypatch.setattr(provider, "BOOT_S", 0.3)
    with pytest.raises(errors.TimedOut, match=r"no sshd answered at 127\.0\.0\.1 port 9") as caught:
        fake.ensure()
    assert (caught.value.node, caught.value.exit_code) == ("node1", 6)
    assert "virsh console" in caught.value.hint
    table["node1"] |= {"state": "running", "port": there}
    table["control"]["state"] = "running"
    fake.change(machines=table)
    assert fake.ensure() == ()
    assert fake.provider.endpoint("node1").port == there


def test_a_machine_that_accepts_no_key(fake: Fake) -> None:
    accepted = fake.nodes["node1"].folder / "user_key.pub"
    was = accepted.read_text()
    accepted.write_text(keys.generate_ed25519().public)
    with pytest.raises(
        errors.ConnectionFailed, match="neither the lab's key nor Vagrant's"
    ) as caught:
        fake.ensure()
    assert (caught.value.node, caught.value.exit_code) == ("node1", 1)
    assert "down --purge" in caught.value.hint
    accepted.write_text(was)
    assert fake.ensure() == ()
    assert fake.provider.endpoint("node1").host_key


class Typed:
    """`labkit up --provider vagrant`, typed at a terminal whose `vagrant` stands still."""

    def __init__(self, fake: Fake, tmp_path: Path) -> None:
        self._fifo = tmp_path / "fifo"
        os.mkfifo(self._fifo)
        fake.change(stops={"up": str(self._fifo)})
        words = ["up", "--provider", "vagrant", "--name", "t", "--workers", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "labkit.cli", *words],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def wait_for_vagrant(self) -> None:
        """Until it stands still: opening the FIFO waits for whoever writes there."""
        self._fifo.read_text()

    def interrupt(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str]:
        said = self._process.communicate(timeout=30)[1]
        return self._process.returncode, said


def test_ctrl_c_lets_vagrant_put_its_machines_in_order(fake: Fake, tmp_path: Path) -> None:
    typed = Typed(fake, tmp_path)
    typed.wait_for_vagrant()
    half = fake.paths.state / "vagrant" / "half-made"
    assert half.exists()
    typed.interrupt()
    status, said = typed.end()
    assert status == 130
    assert "vagrant to end in good order; Ctrl-C again ends it at once" in said
    assert "LK-INTERRUPTED interrupted; the lab is consistent" in said
    assert "Vagrant has ended in good order: no machine is half made" in said
    assert "try: `labkit up` goes on from here" in said
    assert not half.exists()
    fake.change(stops={})
    assert fake.ensure() == ("control", "node1")


def test_a_second_ctrl_c_ends_vagrant_at_once_and_says_so(fake: Fake, tmp_path: Path) -> None:
    fake.change(is_slow=True)
    typed = Typed(fake, tmp_path)
    typed.wait_for_vagrant()
    typed.interrupt()
    typed.wait_for_vagrant()
    typed.interrupt()
    status, said = typed.end()
    assert status == 130
    assert "Vagrant was ended at once: a machine may be half made" in said
