"""The learner's own copies of the notebooks. What a learner has touched is never overwritten.

Beside the copies lies a list of what was copied. A copy that is still what it was follows the
package to a newer version; one that was changed (running it changes it) stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from labkit import errors, paths
from labkit.lessons import catalogue
from labkit.lessons.results import Done

_LIST = ".labkit-notebooks.json"


def default_folder() -> Path:
    return Path.home() / "labkit"


def copy_notebooks(target: Path, source: Path | None = None) -> Done:
    """Copy what is missing, and what is out of date and untouched. Raises ConfigError."""
    did: list[str] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        known = _load(target)
        for path in sorted((source or catalogue.folder()).glob("*.ipynb")):
            did += _copy_one(path, target / path.name, known)
        paths.ensure_file(target / _LIST, json.dumps(known, indent=1))
    except OSError as error:
        raise errors.ConfigError(
            f"{target} cannot hold the notebooks: {error.strerror or error}",
            hint="choose another folder with --folder",
        ) from error
    return Done(f"Notebooks in {target}", tuple(did))


def renew(name: str, target: Path, source: Path | None = None) -> Done:
    """A fresh copy of one notebook; the learner's own stays beside it under another name."""
    entry = catalogue.find(name, source)
    mine = target / entry.notebook.name
    did: list[str] = []
    if mine.exists() and mine.read_bytes() != entry.notebook.read_bytes():
        kept = next(
            path
            for number in range(1, 1000)
            if not (path := target / f"{entry.name}.mine-{number}.ipynb").exists()
        )
        mine.rename(kept)
        did.append(f"kept yours as {kept.name}")
    return Done(f"Notebooks in {target}", (*did, *copy_notebooks(target, source).lines))


def _copy_one(path: Path, copy: Path, known: dict[str, str]) -> list[str]:
    fresh = path.read_bytes()
    if copy.exists():
        mine = copy.read_bytes()
        if mine == fresh:
            known[copy.name] = _digest(fresh)
            return []
        if known.get(copy.name) != _digest(mine):
            return [f"{copy.name} is yours and stays as it is"]
    paths.ensure_file(copy, fresh.decode())
    known[copy.name] = _digest(fresh)
    return [f"copied {copy.name}"]


def _load(target: Path) -> dict[str, str]:
    try:
        return dict(json.loads((target / _LIST).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}  # then every copy counts as the learner's own


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
