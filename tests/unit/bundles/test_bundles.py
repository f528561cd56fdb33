"""Bundles: what is believed, what is refused, and that nothing of a broken one is used."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors, local
from labkit.boxes import store
from labkit.bundles import manifest, pack, unpack
from labkit.model import commands, events
from tests.unit.boxes import test_boxes as boxes


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of its own, one box, and a pip and a vagrant that only do what is needed here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "architecture", lambda: "amd64")

    def run(argv: Sequence[str], **_: object) -> commands.Command:
        if "wheel" in argv:
            (Path(argv[argv.index("--wheel-dir") + 1]) / "labkit-1-py3-none-any.whl").touch()
        return commands.Command(tuple(argv), 0, "", "", 0.0)

    monkeypatch.setattr(local, "run", run)
    store.add(boxes.pack(tmp_path, boxes.named().file))
    return tmp_path


def made(target: Path) -> Path:
    pack.pack(target, store.boxes(), events.Progress(events.ignore, total=pack.STEPS))
    return target


@pytest.mark.parametrize("name", ["b", "b.tar"])
def test_what_was_packed_is_found_whole_and_its_box_is_used(machine: Path, name: str) -> None:
    path = made(machine / name)
    store.remove(store.boxes()[0])
    opened = unpack.open_bundle(path)
    assert {file.path for file in opened.manifest.under("wheels")}
    assert (opened.folder / "install.sh").exists()
    assert unpack.provide_box(opened).provider == "libvirt"
    assert store.boxes()
    assert unpack.open_bundle(path).folder == opened.folder


@given(st.text(max_size=40))
def test_no_text_but_a_manifest_is_one(text: str) -> None:
    with pytest.raises(errors.ConfigError):
        manifest.parse(text, "b")


def test_a_manifest_is_read_as_it_was_written() -> None:
    file = manifest.File("boxes/a.box", 3, "0" * 64)
    said = manifest.Manifest("1", "amd64", "3.11", (file,))
    assert manifest.parse(manifest.render(said), "b") == said


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b"])
def test_no_file_leads_out_of_it(path: str) -> None:
    said = manifest.Manifest("1", "amd64", "3.11", (manifest.File(path, 1, ""),))
    with pytest.raises(errors.ConfigError, match="leads out"):
        manifest.parse(manifest.render(said), "b")


@pytest.mark.parametrize("name", ["b", "b.tar"])
def test_a_changed_byte_is_found(machine: Path, name: str) -> None:
    path = made(machine / name)
    file = next(path.glob("boxes/*")) if path.is_dir() else path
    data = bytearray(file.read_bytes())
    place = data.index(b"sh install.sh") if file.suffix == ".tar" else len(data) // 2
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(errors.ConfigError, match="another checksum"):
        unpack.open_bundle(path)
    assert not list((machine / "cache/labkit").glob("bundles/*"))


def test_a_missing_and_a_shortened_file_are_named(machine: Path) -> None:
    path = made(machine / "b")
    (path / "install.sh").unlink()
    box = next(path.glob("boxes/*"))
    box.write_bytes(box.read_bytes()[:-1])
    with pytest.raises(errors.ConfigError) as caught:
        unpack.open_bundle(path)
    assert "install.sh is missing" in str(caught.value)
    assert "bytes instead of" in str(caught.value)


def test_a_file_that_was_cut_short_is_refused(machine: Path) -> None:
    path = made(machine / "b.tar")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(errors.ConfigError):
        unpack.open_bundle(path)


def test_one_for_another_kind_of_machine_is_refused(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(machine / "b")
    monkeypatch.setattr(store, "architecture", lambda: "arm64")
    with pytest.raises(errors.NotSupported, match="for amd64; this machine is arm64"):
        unpack.open_bundle(path)


def test_none_at_all_is_said(machine: Path) -> None:
    with pytest.raises(errors.NothingMatched):
        unpack.open_bundle(machine / "none")
    (machine / "empty").mkdir()
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        unpack.open_bundle(machine / "empty")


def test_another_version_of_bundle_is_refused(machine: Path) -> None:
    path = made(machine / "b")
    said = json.loads((path / manifest.NAME).read_text())
    (path / manifest.NAME).write_text(json.dumps(said | {"version": 2}))
    with pytest.raises(errors.ConfigError, match="version 2"):
        unpack.open_bundle(path)


def test_a_box_that_is_not_in_it_is_said(machine: Path) -> None:
    opened = unpack.open_bundle(made(machine / "b"))
    with pytest.raises(errors.NothingMatched, match="no box for lxc"):
        unpack.provide_box(opened, "lxc")


def test_a_full_disk_leaves_nothing_half_done(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(machine / "b.tar")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(errors.DiskFull, match="No space left"):
        unpack.open_bundle(path)
    assert not list((machine / "cache/labkit").glob("bundles/*"))
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(errors.DiskFull):
        made(machine / "second")
    assert not (machine / "second").exists()
    assert not list(machine.glob(".bundle-*"))


def test_what_is_there_is_not_overwritten(machine: Path) -> None:
    path = made(machine / "b")
    with pytest.raises(errors.UsageError, match="is there already"):
        made(path)
