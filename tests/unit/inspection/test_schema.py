"""Each value that turns into data is documented, with its version."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from labkit import inspection
from labkit.inspection import schema

README = (Path(__file__).parents[3] / "README.md").read_text()


def declared() -> dict[str, int]:
    found = {}
    for info in pkgutil.walk_packages(inspection.__path__, "labkit.inspection."):
        if info.name.endswith("await_rules"):
            continue
        module = importlib.import_module(info.name)
        if hasattr(module, "SCHEMA"):
            found[module.SCHEMA] = module.VERSION
    return found


def test_every_schema_is_in_the_table_with_its_version() -> None:
    known = {name: version for name, (version, _) in schema.SCHEMAS.items()}
    assert known.items() <= declared().items()


def test_the_readme_names_what_is_in_the_table() -> None:
    for name, (_, about) in schema.SCHEMAS.items():
        assert f"`{name}`" in README
        assert about
