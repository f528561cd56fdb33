"""Boxes: what is decided about them, and what is kept of them, without building one."""

from __future__ import annotations

import datetime
import io
import json
import os
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors, local
from labkit.boxes import build, catalogue, disk, package, recipe, store, tools
from labkit.model import commands, events
from labkit.preflight import packages

NOON = datetime.datetime(2026, 11, 24, 12, 0, 5, tzinfo=datetime.UTC)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def pack(folder: Path, name: str, provider: str = "libvirt", lack: str = "") -> Path:
    path = folder / name
    texts = package.render(recipe.plan(provider)) | {package.PAYLOADS["libvirt"]: "disk"}
    with tarfile.open(path, "w:gz") as tar:
        for file, text in texts.items():
            if file != lack:
                info = tarfile.TarInfo(file)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
    return path


def named(provider: str = "libvirt", when: datetime.datetime = NOON) -> catalogue.Box:
    return catalogue.new(recipe.plan(provider), when)


# What is in a box


@pytest.mark.parametrize("provider", recipe.PROVIDERS)
def test_a_box_has_all_that_labkit_calls_on_a_node_and_no_secret(provider: str) -> None:
    what = recipe.plan(provider)
    needed = {each.name for each in packages.PACKAGES if not each.rootless_only}
    assert needed <= set(what.packages)
    text = json.dumps(what.to_json())
    assert "PRIVATE KEY" not in text
    assert text.count("ssh-rsa AAAA") == 1
    assert "rm -f /etc/ssh/ssh_host_*" in what.commands


def test_only_a_virtual_machine_has_a_kernel() -> None:
    assert "linux-image-cloud-amd64" in recipe.plan("libvirt").packages
    assert "linux-image-amd64" in recipe.plan("virtualbox").packages
    lxc = recipe.plan("lxc")
    assert not [name for name in lxc.packages if name.startswith("linux-image")]
    assert not lxc.has_disk
    assert "etc/fstab" not in lxc.files


def test_a_container_leaves_the_network_when_it_ends() -> None:
    """Of a virtual machine nothing is left anyway."""
    name = "etc/systemd/system/leave-private-network.service"
    lxc = recipe.plan("lxc")
    assert "ExecStop=-/sbin/ip link delete eth1" in lxc.files[name]
    assert "systemctl enable leave-private-network.service" in lxc.commands
    for other in ("libvirt", "virtualbox"):
        assert name not in recipe.plan(other).files


@pytest.mark.parametrize("provider", recipe.PROVIDERS)
def test_no_service_of_a_box_is_taken_for_a_program_of_a_lab(provider: str) -> None:
    """`up` takes away those named labkit-*.service that the lab does not want."""
    what = recipe.plan(provider)
    assert not [name for name in what.files if "/labkit-" in name and name.endswith(".service")]
    assert not [command for command in what.commands if "enable labkit-" in command]


def test_the_digest_tells_recipes_apart_and_nothing_else() -> None:
    digests = {recipe.plan(provider).digest for provider in recipe.PROVIDERS}
    assert len(digests) == len(recipe.PROVIDERS)
    assert recipe.plan("lxc").digest == recipe.plan("lxc").digest
    assert recipe.plan("lxc").digest != recipe.plan("lxc", "arm64").digest


@pytest.mark.parametrize(
    ("provider", "arch"), [("hyperv", "amd64"), ("libvirt", "arm64"), ("lxc", "riscv64")]
)
def test_what_cannot_be_made_is_refused(provider: str, arch: str) -> None:
    with pytest.raises(errors.NotSupported):
        recipe.plan(provider, arch)


# Its disk


@given(st.binary(max_size=600), st.integers(4096, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_boot_record_is_read_as_it_was_written(boot: bytes, total: int, signature: int) -> None:
    sector = disk.render_mbr(boot, total_sectors=total, signature=signature)
    assert len(sector) == disk.SECTOR
    assert sector[:440] == boot[:440].ljust(440, b"\0")
    assert disk.parse_mbr(sector) == ((0x83, disk.FIRST_SECTOR, total - disk.FIRST_SECTOR),)


def test_the_head_ends_where_the_partition_begins() -> None:
    head = disk.render_head(b"boot", b"core", size_bytes=2**30, signature=1)
    assert len(head) == disk.FIRST_SECTOR * disk.SECTOR
    assert head[512:516] == b"core"


def test_a_core_that_does_not_fit_is_refused() -> None:
    with pytest.raises(errors.NotSupported):
        disk.render_head(b"", bytes(2**20), size_bytes=2**30, signature=1)


@pytest.mark.parametrize("sector", [b"", bytes(512)])
def test_what_is_no_boot_record_is_said_to_be_none(sector: bytes) -> None:
    with pytest.raises(errors.ConfigError):
        disk.parse_mbr(sector)


def test_grub_boots_the_recipes_disk() -> None:
    text = disk.render_grub(recipe.plan("virtualbox").kernel_line)
    assert "linux /vmlinuz root=/dev/sda1 ro" in text
    assert text.endswith("boot\n")


# What Vagrant wants around it


@pytest.mark.parametrize("provider", recipe.PROVIDERS)
def test_each_box_says_for_whom_it_is(provider: str) -> None:
    files = package.render(recipe.plan(provider))
    assert json.loads(files["metadata.json"])["provider"] == provider
    assert ("base_mac" in files["Vagrantfile"]) == (provider == "virtualbox")


def test_the_ovf_is_xml_whose_items_are_sorted_as_its_schema_wants() -> None:
    root = ElementTree.fromstring(package.render_ovf())
    items = root.findall(".//{*}Item")
    assert [item.findtext("{*}InstanceID") for item in items] == ["1", "2", "3", "4", "5"]
    for item in items:
        assert [child.tag for child in item] == sorted(child.tag for child in item)
    assert (
        root.find(".//{*}Disk[@{http://schemas.dmtf.org/ovf/envelope/1}fileRef='file1']")
        is not None
    )


def test_a_container_names_its_architecture() -> None:
    assert "lxc.arch = aarch64\n" in package.render(recipe.plan("lxc", "arm64"))["lxc-config"]


# Who makes it


def test_a_container_needs_fewer_programs() -> None:
    def nothing(_: str) -> bool:
        return False

    lxc = tools.plan_missing(recipe.plan("lxc"), nothing)
    libvirt = tools.plan_missing(recipe.plan("libvirt"), nothing)
    assert {each.name for each in lxc} < {each.name for each in libvirt}
    assert tools.plan_missing(recipe.plan("libvirt"), lambda _: True) == ()


def test_a_file_that_is_no_program_counts_as_well(tmp_path: Path) -> None:
    (tmp_path / "boot.img").touch()
    assert tools.is_here(str(tmp_path / "boot.img"))
    assert not tools.is_here(str(tmp_path / "other"))
    assert tools.is_here("sh")


def test_only_root_builds(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(errors.NotSupported, match="as root"):
        build.build(recipe.plan(), cache / "a.box", events.Progress(events.ignore, total=4))


def test_a_full_disk_is_said_and_leaves_no_box(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: Sequence[str], **_: object) -> commands.Command:
        raise errors.CommandFailed(argv, 1, "tar: No space left on device")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(local, "run", run)
    with pytest.raises(errors.DiskFull):
        store.ensure(recipe.plan(), events.Progress(events.ignore, total=4))
    assert store.boxes() == ()
    assert list(store.folder().iterdir()) == []


# Which there are


def test_the_files_name_tells_all() -> None:
    box = named()
    assert catalogue.parse_file(box.file) == box
    assert box.version == "20261124.120005"


@pytest.mark.parametrize("name", ["a.box", "labkit-node_1_libvirt_amd64_0.box"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(errors.ConfigError):
        catalogue.parse_file(name)


def test_the_newest_comes_first_by_number_not_by_letter() -> None:
    early = named(when=NOON.replace(hour=9))
    late = named()
    assert catalogue.order([early, late]) == (late, early)
    assert catalogue.find([early, late], "libvirt", "amd64") == late
    assert catalogue.find([early, late], "libvirt", "amd64", "other") is None
    assert catalogue.find([early, late], "lxc", "amd64") is None


def test_the_catalogue_is_vagrants(tmp_path: Path) -> None:
    boxes = [named(), named("lxc"), named(when=NOON.replace(hour=9))]
    said = json.loads(catalogue.render(boxes, "amd64", tmp_path))
    assert said["name"] == "labkit/node"
    assert [each["version"] for each in said["versions"]] == ["20261124.120005", "20261124.90005"]
    assert {each["name"] for each in said["versions"][0]["providers"]} == {"libvirt", "lxc"}
    assert said["versions"][1]["providers"][0]["url"].startswith("file:///")


# What is kept


def test_a_box_that_was_carried_here_is_kept_and_forgotten(cache: Path) -> None:
    box = store.add(pack(cache, named().file))
    assert store.boxes() == (box,)
    assert store.find(recipe.plan()) == box
    said = json.loads(store.catalogue_file(box).read_text())
    assert said["versions"][0]["providers"][0]["checksum"] == box.sha256
    store.remove(box)
    assert store.boxes() == ()
    assert list(store.folder().iterdir()) == []


def test_the_box_that_is_there_is_not_built_again(cache: Path) -> None:
    box = store.add(pack(cache, named().file))
    assert store.ensure(recipe.plan(), events.Progress(events.ignore, total=4)) == box


def test_a_copy_that_was_cut_short_does_not_count(cache: Path) -> None:
    store.folder().mkdir(parents=True)
    pack(store.folder(), named().file)
    assert store.boxes() == ()


def test_what_is_no_whole_box_is_refused(cache: Path) -> None:
    whole = pack(cache, named().file)
    whole.write_bytes(whole.read_bytes()[:100])
    with pytest.raises(errors.ConfigError, match="not a whole box"):
        store.add(whole)
    with pytest.raises(errors.ConfigError, match="not as its name says"):
        store.add(pack(cache, named().file, provider="lxc"))
    with pytest.raises(errors.ConfigError, match=r"lacks box\.img"):
        store.add(pack(cache, named().file, lack="box.img"))
    with pytest.raises(errors.ConfigError, match="not a whole box"):
        store.add(cache / named(when=NOON.replace(hour=1)).file)
    assert store.boxes() == ()


def test_vagrant_gets_a_box_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = store.add(pack(cache, named().file))
    listed = ""
    asked: list[tuple[str, ...]] = []

    def run(argv: Sequence[str], **_: object) -> commands.Command:
        asked.append(tuple(argv))
        return commands.Command(tuple(argv), 0, listed, "", 0.0)

    monkeypatch.setattr(local, "run", run)
    monkeypatch.setattr(local, "has", lambda _: True)
    assert store.give_to_vagrant(box)
    assert asked[-1][:3] == ("vagrant", "box", "add")
    listed = f"labkit/node (libvirt, {box.version})\n"
    assert not store.give_to_vagrant(box)
    store.take_from_vagrant(box)
    assert asked[-1][:4] == ("vagrant", "box", "remove", "labkit/node")
