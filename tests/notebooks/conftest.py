"""One lab for all notebooks, and a kernel for each run of one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit

LAB = "notebooks"


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """Where the lab and the learner's progress are. Its path is short, as a socket's has to be."""
    folder = Path(tempfile.mkdtemp(prefix="lk"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE_HOME", "RUNTIME_DIR"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(f"XDG_{name}", str(folder / name))
        patch.setenv("LABKIT_NAME", LAB)
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "jupyter"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def lab(home: Path) -> Iterator[labkit.Lab]:
    with labkit.open() as made:
        made.up()
        yield made
        made.down(purge=True)
