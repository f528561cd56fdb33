"""What goes wrong with the real Vagrant and a real libvirt, beside machines that go on."""

from __future__ import annotations

import pytest

from tests.vagrant import typed as typing_there
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


#: Vagrant stands still where it holds a machine, and not also what it takes to ask for one. The
#: kernel tells what is held: files of locks stay behind where Vagrant has failed.
HOLD = """\
cd "$XDG_STATE_HOME/labkit/vm/vagrant" || exit
data=$VAGRANT_HOME/data
vagrant provision node2 >&2 & holder=$!
holds() {
    lock=$(readlink /proc/$holder/fd/* | grep machine-action) &&
        grep -q " $holder [^ ]*:$(stat -c %i "$lock") " /proc/locks
}
until holds; do kill -0 $holder || exit; done
flock "$data/lock.dotlock.lock" true
kill -STOP $holder
echo held
read -r _
kill -CONT $holder
wait $holder
"""
POOL = "/var/lib/libvirt/images"


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


def test_a_machine_on_which_another_vagrant_works_is_left_alone(typed: Typed) -> None:
    with typed.started("sh", "-c", HOLD) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = typed.raw("labkit", "stop", "node2")
        holder.communicate("go on\n", timeout=60)
    assert done.returncode == 7, done.stderr
    assert "another `vagrant` is working on a machine of this lab" in done.stderr
    assert holder.returncode == 0
    assert "running" in typed.raw("virsh", "domstate", "lk-vm-node2").stdout


def test_a_full_disk_leaves_no_half_an_image_on_which_machines_would_never_boot() -> None:
    """Of a libvirt of its own, whose disk is small and then large enough."""
    with typing_there.at("libvirt") as typed:
        (typed.folder / "labkit.toml").write_text(OTHER)
        typed.raw("mkdir", "-p", POOL)
        assert typed.raw("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", POOL).returncode == 0
        done = typed.raw("labkit", "up")
        assert done.returncode == 1, done.stderr
        assert "LK-DISK-FULL the disk is full" in done.stderr
        assert ".rb:" not in done.stderr
        assert "make room, then `labkit up` goes on" in done.stderr
        assert typed.raw("ls", POOL).stdout == ""
        assert typed.json("status")["state"] == "stopped"
        typed.raw("mount", "-o", "remount,size=2g", POOL)
        assert typed.up()["status"]["state"] == "running"


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
