"""The lessons that there are: `NN-name.ipynb`, and beside it `NN-name.toml`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit import errors
from labkit.lessons import grammar
from labkit.model import words

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Entry:
    """One lesson. `name` is `02-the-example-service`, its `number` `02`."""

    name: str
    folder: Path

    @property
    def number(self) -> str:
        return self.name.partition("-")[0]

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.name}.ipynb"

    def read(self) -> grammar.LessonFile:
        return grammar.read(self.folder / f"{self.name}.toml")


def folder() -> Path:
    """Where the notebooks are: in the installed package, or at the top of a checkout."""
    inside = _PACKAGE / "notebooks"
    return inside if inside.is_dir() else _PACKAGE.parents[1] / "notebooks"


def entries(where: Path | None = None) -> tuple[Entry, ...]:
    """All of them, in order."""
    return tuple(_entries(where or folder()))


def _entries(where: Path) -> Iterator[Entry]:
    for path in sorted(where.glob("[0-9][0-9]-*.toml")):
        yield Entry(path.stem, where)


def find(name: str, where: Path | None = None) -> Entry:
    """One lesson by its number (`2`, `02`) or name. Raises NothingMatched."""
    known = entries(where)
    wanted = name.zfill(2) if name.isdigit() else name
    for entry in known:
        if wanted in (entry.number, entry.name):
            return entry
    names = [entry.name for entry in known]
    raise errors.NothingMatched(
        f"there is no lesson {name!r}", hint=words.suggest(name, [*names, *(n[:2] for n in names)])
    )
