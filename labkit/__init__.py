"""labkit: Kubernetes Service networking on a real multi-node cluster.

>>> import labkit
>>> lab = labkit.open()
>>> lab.up()
>>> lab.inspect("app1")

Names are loaded when they are used: this package also travels, in part, to the nodes, where only
the standard library is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.version import __version__

if TYPE_CHECKING:
    from labkit.lab import Lab

__all__ = ["Lab", "__version__", "open"]


def open(name: str | None = None) -> Lab:  # noqa: A001 - the verb a notebook reads well with
    """Return the lab called `name` (default: the lab file's, else `lab`). Starts nothing."""
    from labkit import lab

    return lab.open_lab(name)


def __getattr__(name: str) -> Any:
    if name == "Lab":
        from labkit import lab

        return lab.Lab
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")
