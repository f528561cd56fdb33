"""Import a package without a dependency of it that we never use.

paramiko imports invoke, a task runner, for a line that an ssh_config file may hold (`Match exec`),
and does without it where it is missing. We read no such files, and invoke would cost every command
40 ms, as much as the rest of paramiko.
"""

from __future__ import annotations

import contextlib
import sys
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
