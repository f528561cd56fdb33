"""Import paramiko without what it hardly needs, and every command would pay for.

* *invoke*, a task runner, is for a line that an ssh_config file may hold (`Match exec`); paramiko
  goes without where it is missing. We read no such files.
* *importlib.metadata* is asked for paramiko's own version, once, and brings along Python's modules
  for e-mail: metadata is written as a letter is.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator


@contextlib.contextmanager
def without(package: str) -> Iterator[None]:
    """Let `import package` fail inside the block, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # the import system's word for "refuse"
    try:
        yield
    finally:
        del sys.modules[package]


@contextlib.contextmanager
def without_versions() -> Iterator[None]:
    """Let every package be of the version "unknown" inside the block, unless it is loaded already.

    Nothing but `importlib.metadata.version` is there meanwhile.
    """
    name = "importlib.metadata"
    if name in sys.modules:
        yield
        return
    standin = types.ModuleType(name)
    standin.__dict__["version"] = lambda _: "unknown"
    sys.modules[name] = importlib.__dict__["metadata"] = standin
    try:
        yield
    finally:
        del sys.modules[name], importlib.__dict__["metadata"]
