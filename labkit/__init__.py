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
    from labkit.inspection.predict.asking import Request
    from labkit.lab import Lab
    from labkit.lessons.glossary import Glossary
    from labkit.lessons.lesson import Lesson
    from labkit.lessons.reference import Reference

__all__ = ["Lab", "Lesson", "Request", "__version__", "glossary", "lesson", "open", "reference"]


def open(name: str | None = None) -> Lab:  # noqa: A001 - the verb a notebook reads well with
    """Return the lab called `name`. Starts nothing.

    Without a name: the one that LABKIT_NAME says, else the lab file's, else `lab`.
    """
    import os

    from labkit import lab

    return lab.open_lab(name or os.environ.get("LABKIT_NAME") or None)


def lesson(name: str, lab: Lab | None = None) -> Lesson:
    """Begin a lesson, by number or name, on `lab` (default: `open()`), which is brought up."""
    from labkit.lessons import lesson as lessons

    return lessons.start(name, lab or open())


def glossary() -> Glossary:
    """Every word of the lessons in one sentence, and the lesson that explains it."""
    from labkit.lessons import glossary as page

    return page.load()


def reference() -> Reference:
    """All chains, flags, ports, commands and faults on one page, from the code's own tables."""
    from labkit.cli import tables
    from labkit.lessons import reference as page

    return page.collect(tuple(tables.verbs()), tuple(tables.exits()))


def __getattr__(name: str) -> Any:
    if name == "Lab":
        from labkit import lab

        return lab.Lab
    if name == "Lesson":
        from labkit.lessons import lesson as lessons

        return lessons.Lesson
    if name == "Request":
        from labkit.inspection.predict import asking

        return asking.Request
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")
