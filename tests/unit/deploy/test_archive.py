"""Archives: the same bytes for the same sources, and programs that start with nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from labkit.deploy import archive

MAIN = """\
from tiny import other

def main(argv):
    print(other.__file__, argv, other.said())
    return len(argv)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Path]:
    """A package made for the test: its files by their names in an archive."""
    folder = tmp_path / "src" / "tiny"
    folder.mkdir(parents=True)
    texts = {"__init__.py": "", "main.py": MAIN, "other.py": 'def said():\n    return {"x", "y"}\n'}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "data.json").write_text("{}")
    return {f"tiny/{path.name}": path for path in sorted(folder.iterdir())}


def run(data: bytes, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    (folder / "tiny.pyz").write_bytes(data)
    argv = [sys.executable, "-I", "-S", str(folder / "tiny.pyz"), *args]
    return subprocess.run(argv, capture_output=True, text=True, env={}, timeout=30)


def test_it_runs_alone(tiny: dict[str, Path], tmp_path: Path) -> None:
    done = run(archive.pack(tiny, "tiny.main"), tmp_path, "a", "b")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith(f"{tmp_path}/tiny.pyz/tiny/other.pyc ['a', 'b'] ")


def test_the_same_sources_give_the_same_bytes(tiny: dict[str, Path]) -> None:
    first = archive.pack(tiny, "tiny.main")
    for path in tiny.values():
        os.utime(path, (1, 1))
    assert archive.pack(dict(reversed(tiny.items())), "tiny.main") == first


def test_the_builder_leaves_no_trace(tiny: dict[str, Path], tmp_path: Path) -> None:
    assert str(tmp_path).encode() not in archive.pack(tiny, "tiny.main")
    with zipfile.ZipFile(io.BytesIO(archive.pack(tiny, "tiny.main"))) as packed:
        assert all(str(tmp_path).encode() not in packed.read(name) for name in packed.namelist())


def test_sources_bytecode_and_data_are_inside(tiny: dict[str, Path]) -> None:
    with zipfile.ZipFile(io.BytesIO(archive.pack(tiny, "tiny.main"))) as packed:
        assert packed.namelist() == [
            "__main__.py",
            "tiny/__init__.py",
            "tiny/__init__.pyc",
            "tiny/data.json",
            "tiny/main.py",
            "tiny/main.pyc",
            "tiny/other.py",
            "tiny/other.pyc",
        ]


def test_another_python_takes_the_source(
    tiny: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.MAGIC_NUMBER", b"none")
    done = run(archive.pack(tiny, "tiny.main"), tmp_path)
    assert done.stdout.startswith(f"{tmp_path}/tiny.pyz/tiny/other.py [] ")


@pytest.mark.parametrize("role", archive.RECIPES)
def test_a_role_brings_its_package_and_no_more(role: archive.Role) -> None:
    with zipfile.ZipFile(io.BytesIO(archive.build_archive(role))) as packed:
        names = packed.namelist()
    parts = {name.split("/")[1] for name in names if name.startswith("labkit/")}
    assert {"controllers": "apiserver"}.get(role, role) in parts
    assert not parts & {"cli", "lab", "ssh", "deploy", "providers", "inspection", "display"}
    others = {name.split("/")[0].split(".")[0] for name in names} - {"labkit", "__main__"}
    assert ("standins" in others) == (role in ("agent", "podlet"))
    assert ("uvicorn" in others) == (role == "apiserver")
    assert "click" not in others


@pytest.mark.parametrize("role", archive.RECIPES)
def test_a_role_starts_from_its_archive_alone(role: archive.Role, tmp_path: Path) -> None:
    done = run(archive.build_archive(role), tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


IMPORT_ALL = """
import importlib, runpy, sys, zipfile
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
sys.path.insert(0, sys.argv[0])
for name in zipfile.ZipFile(sys.argv[0]).namelist():
    if name.endswith(".py") and "__main__" not in name:
        importlib.import_module(name[:-3].replace("/", ".").removesuffix(".__init__"))
print(*(name for name, module in sys.modules.items() if type(module).__name__ == "StandIn"))
"""


@pytest.mark.parametrize(
    ("role", "stood_in"),
    [
        ("agent", {"typing", "inspect", "traceback", "locale"}),
        ("podlet", {"typing", "inspect", "traceback"}),  # argparse asks for the language
    ],
)
def test_what_runs_on_every_node_needs_no_more_than_the_stand_ins(
    role: archive.Role, stood_in: set[str], tmp_path: Path
) -> None:
    """A dataclass without a docstring would load `inspect`, for 1.2 MB."""
    (tmp_path / "x.pyz").write_bytes(archive.build_archive(role))
    argv = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(tmp_path / "x.pyz")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert set(done.stdout.splitlines()[-1].split()) == stood_in, done.stderr


def test_an_archive_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = archive.load_archive("agent")
    (kept,) = (tmp_path / "labkit").iterdir()
    kept.write_bytes(b"kept")
    assert archive.load_archive("agent") == b"kept"
    monkeypatch.setattr(archive, "_stamp", lambda files: "another")
    assert archive.load_archive("agent") == data
    assert len(list((tmp_path / "labkit").iterdir())) == 1


def test_without_room_it_is_built_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert archive.load_archive("agent") == archive.build_archive("agent")
