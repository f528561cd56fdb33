"""What goes wrong with the real Vagrant and a real libvirt, beside machines that go on."""

from __future__ import annotations

import pytest

from tests.vagrant.typed import Typed

pytestmark = [
    pytest.mark.vagrant,
    pytest.mark.timeout(1800),
    pytest.mark.usefixtures("brought_up"),
]

OTHER = """\
name = "two"
provider = "vagrant"

[nodes]
workers = 1

[network]
machines = "192.168.57.0/24"

[vagrant]
provider = "libvirt"
box = "labkit/node"
memory = 512
"""


def with_pid(command: str) -> tuple[str, ...]:
    """The process says its number in there, then becomes the command."""
    return ("sh", "-c", f"echo $$; {command}")


def domains(typed: Typed) -> set[str]:
    return set(typed.raw("virsh", "list", "--all", "--name").stdout.split())


def test_another_lab_of_the_same_name_is_refused_and_harms_nobody(typed: Typed) -> None:
    before = domains(typed)
    elsewhere = ("env", f"XDG_STATE_HOME={typed.here.folder}/elsewhere", "labkit")
    done = typed.raw(*elsewhere, "up")
    assert done.returncode == 7, done.stderr
    assert "another lab has a machine lk-vm-" in done.stderr
    assert "choose another `name`" in done.stderr
    assert typed.raw(*elsewhere, "down", "--purge", "--yes").returncode == 0
    assert domains(typed) == before


def test_ctrl_c_in_the_middle_of_up_leaves_a_lab_that_can_be_looked_at_and_purged(
    typed: Typed,
) -> None:
    """Told when the machine has started: Vagrant then waits until it boots."""
    before = domains(typed)
    folder = typed.folder.parent / "two"
    folder.mkdir()
    (folder / "labkit.toml").write_text(OTHER)
    there = Typed(typed.here, folder)
    with there.started(
        *with_pid("exec stdbuf -oL virsh event --event lifecycle --loop --timeout 300")
    ) as virsh:
        assert virsh.stdout is not None
        listener = virsh.stdout.readline().strip()
        with there.started(*with_pid("exec env --default-signal=INT labkit up 2>&1")) as up:
            assert up.stdout is not None
            pid = up.stdout.readline().strip()
            for line in virsh.stdout:
                if "lk-two-control" in line and "Started" in line:
                    break
            there.raw("kill", "-INT", pid)
            said, _ = up.communicate(timeout=300)
        there.raw("kill", listener)
    assert up.returncode == 130
    assert "Vagrant has ended in good order: no machine is half made" in said
    looked = there.raw("labkit", "status")
    assert looked.returncode in (0, 3), looked.stderr
    there.labkit("down", "--purge", "--yes", timeout_s=180)
    assert domains(typed) == before
