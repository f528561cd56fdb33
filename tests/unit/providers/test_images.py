"""A `virsh` that tells of one volume, and notes what it is asked to delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.providers.vagrant import images

NAME = "labkit-VAGRANTSLASH-node_vagrant_box_image_20261130.73806_box.img"
VOLUME = """\
<volume type='file'>
  <name>{name}</name>
  <capacity unit='bytes'>8589934592</capacity>
  <allocation unit='bytes'>4096</allocation>
  <physical unit='bytes'>{size}</physical>
  <target>
    <path>/var/lib/libvirt/images/{name}</path>
    <timestamps><atime>1.5</atime><mtime>{written}</mtime><ctime>1.5</ctime></timestamps>
  </target>
</volume>
"""
VIRSH = """\
#!/bin/sh
echo "$*" >>"{log}"
case "$*" in *vol-dumpxml*) cat "{volume}" ;; esac
"""
BOX_BYTES, NOW = 1000, 5000.0


@pytest.fixture
def log(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `virsh` writes what it is asked; one box is there, for two providers."""
    for provider in ("libvirt", "virtualbox"):
        box = home / "vagrant/boxes/labkit-VAGRANTSLASH-node/20261130.73806" / provider
        box.mkdir(parents=True)
        (box / "box.img").write_bytes(bytes(BOX_BYTES))
    (home / "bin").mkdir()
    virsh = home / "bin" / "virsh"
    virsh.write_text(VIRSH.format(log=home / "log", volume=home / "volume.xml"))
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("VAGRANT_HOME", str(home / "vagrant"))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    return home / "log"


def is_there(home: Path, size: int, written: float) -> None:
    text = VOLUME.format(name=NAME, size=size, written=written)
    (home / "volume.xml").write_text(text)


def test_half_an_image_that_nobody_writes_is_removed(home: Path, log: Path) -> None:
    is_there(home, BOX_BYTES - 1, NOW - images.QUIET_S)
    assert images.remove_torn({}, now=NOW) == (NAME,)
    assert log.read_text().splitlines() == [
        f"-c qemu:///system vol-dumpxml --pool default {NAME}",
        f"-c qemu:///system vol-delete --pool default {NAME}",
    ]


def test_what_another_lab_uploads_just_now_is_left_alone(home: Path, log: Path) -> None:
    is_there(home, BOX_BYTES - 1, NOW - images.QUIET_S + 1)
    assert images.remove_torn({}, now=NOW) == ()
    assert images.remove_torn({}, quiet_s=0, now=NOW) == (NAME,)  # it was our own upload


@pytest.mark.parametrize("size", [BOX_BYTES, BOX_BYTES + 1])
def test_a_whole_image_stays(home: Path, log: Path, size: int) -> None:
    is_there(home, size, 0)
    assert images.remove_torn({}, quiet_s=0, now=NOW) == ()
    assert "vol-delete" not in log.read_text()


def test_an_image_of_unknown_length_stays(home: Path, log: Path) -> None:
    (home / "volume.xml").write_text("<volume><allocation>1</allocation></volume>")
    assert images.remove_torn({}, quiet_s=0, now=NOW) == ()


def test_another_pool_and_another_libvirt_are_heeded(home: Path, log: Path) -> None:
    is_there(home, 1, 0)
    images.remove_torn({"uri": "qemu:///session", "storage_pool_name": "labs"}, now=NOW)
    assert set(log.read_text().splitlines()) == {
        f"-c qemu:///session vol-dumpxml --pool labs {NAME}",
        f"-c qemu:///session vol-delete --pool labs {NAME}",
    }


def test_without_virsh_nothing_is_done(
    home: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.local.has", lambda _: False)
    assert images.remove_torn({}) == ()
    assert not log.exists()
