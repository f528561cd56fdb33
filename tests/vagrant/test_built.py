"""A box for each provider, built for real, and looked into without starting it."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from labkit.boxes import catalogue, disk, package, recipe, store
from labkit.model import events
from tests.vagrant import harness

pytestmark = [pytest.mark.vagrant, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=recipe.PROVIDERS)
def box(request: pytest.FixtureRequest) -> catalogue.Box:
    harness.install()
    return store.ensure(recipe.plan(request.param), events.Progress(events.ignore, total=4))


@pytest.fixture(scope="module")
def unpacked(box: catalogue.Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(box.provider)
    run("tar", "-C", str(folder), "-xf", str(store.folder() / box.file))
    return folder


def test_it_has_the_files_that_vagrant_wants(box: catalogue.Box, unpacked: Path) -> None:
    wanted = {*package.render(recipe.plan(box.provider)), package.PAYLOADS[box.provider]}
    assert {path.name for path in unpacked.iterdir()} == wanted
    assert json.loads((unpacked / "metadata.json").read_text())["provider"] == box.provider


def test_its_disk_is_one_that_a_pc_boots(box: catalogue.Box, unpacked: Path) -> None:
    payload = unpacked / package.PAYLOADS[box.provider]
    if box.provider == "lxc":
        return check_files(payload)
    about = json.loads(run("qemu-img", "info", "--output=json", str(payload)))
    assert about["format"] == {"libvirt": "qcow2", "virtualbox": "vmdk"}[box.provider]
    assert about["virtual-size"] == disk.SIZE_GB * 2**30
    raw = unpacked / "disk.raw"
    run("qemu-img", "convert", "-O", "raw", str(payload), str(raw))
    total = disk.sectors(disk.SIZE_GB * 2**30)
    with raw.open("rb") as file:
        assert disk.parse_mbr(file.read(512)) == (
            (0x83, disk.FIRST_SECTOR, total - disk.FIRST_SECTOR),
        )
    place = f"{raw}?offset={disk.FIRST_SECTOR * disk.SECTOR}"
    assert "vmlinuz" in run("debugfs", "-R", "ls -p /boot", place)
    assert "labkit" in run("debugfs", "-R", "cat /etc/hostname", place)
    assert "ssh_host" not in run("debugfs", "-R", "ls -p /etc/ssh", place)
    run("e2fsck", "-f", "-n", place)
    return None


def check_files(rootfs: Path) -> None:
    with tarfile.open(rootfs) as tar:
        said = tar.getnames()
    # vagrant-lxc unpacks without the first two parts of each name.
    names = {name.removeprefix("./rootfs/") for name in said if name.startswith("./rootfs/")}
    assert {"etc/hostname", "usr/sbin/sshd", "home/vagrant/.ssh/authorized_keys"} <= names
    assert not [name for name in names if name.startswith("etc/ssh/ssh_host_")]
    assert not [name for name in names if name.startswith("boot/vmlinuz")]


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
