"""The learner's own objects while a lesson has the lab to itself. One file in the lab's state.

It is written before anything is deleted, and emptied when the objects are back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from labkit import errors, paths
from labkit.model.resources import Object


def path(where: paths.LabPaths) -> Path:
    return where.state / "lessons" / "stash.json"


def load(where: paths.LabPaths) -> list[Object]:
    """What is stashed. Raises ConfigError for a file that somebody has spoilt."""
    file = path(where)
    if not file.exists():
        return []
    try:
        return list(json.loads(file.read_text()))
    except (json.JSONDecodeError, TypeError) as error:
        raise errors.ConfigError(
            f"{file} is not what labkit has written: {error}", hint="mend it, or move it away"
        ) from error


def add(where: paths.LabPaths, objects: Sequence[Object]) -> None:
    """Keep these too. Of an object stashed twice the newer is kept."""
    if not objects:
        return
    kept = {_key(obj): obj for obj in (*load(where), *objects)}
    paths.ensure_file(path(where), json.dumps(list(kept.values()), indent=1), 0o600)


def clear(where: paths.LabPaths) -> None:
    path(where).unlink(missing_ok=True)


def _key(obj: Object) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]
