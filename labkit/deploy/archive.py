"""One file per role: a zip that Python runs as it is, `python3 kube-proxy.pyz --help`.

A machine has Python and nothing else, so the archive brings all that its program imports: of
labkit the errors, the model and the role's own package; for the API server also starlette, uvicorn,
PyYAML and what these need. Sources are inside, to be read (`unzip -l`), each with its bytecode:
Python cannot keep bytecode for what lies in a zip, and compiling the API server anew would take
each start a second. A machine with another Python cannot use the bytecode and takes the source.

The same sources give the same bytes, on every machine, whenever and however they are built: that is
how a change is known. Hence fixed dates, sorted names, and bytecode in marshal's version 2, which
does not depend on which objects the building process happens to share.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import io
import marshal
import os
import re
import types
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from labkit import errors

Role = Literal["agent", "podlet", "apiserver", "controllers"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an archive holds: parts of the package labkit, and distributions with their needs."""

    main: str
    parts: tuple[str, ...]
    distributions: tuple[str, ...] = ()
    #: It runs on every node: what it can do without is stood in for (standins.py).
    lean: bool = False


_COMMON = ("__init__.py", "version.py", "errors.py", "model")
_SERVED_BY = ("starlette", "uvicorn", "pyyaml")
#: Machine code that stays behind: its distribution does without, if more slowly.
_SPARE = ("yaml/_yaml.",)
#: uvicorn's own command line, and what restarts it for a programmer. `uvicorn/__init__.py` imports
#: both, and would cost a tenth of each start: another one stands in its place.
_LEFT_OUT = ("click", "uvicorn/main.", "uvicorn/__main__.", "uvicorn/supervisors/")
_INSTEAD = {"uvicorn/__init__.py": b"from uvicorn.config import Config\n"}

RECIPES: Mapping[Role, Recipe] = {
    "agent": Recipe("labkit.agent.main", (*_COMMON, "client", "agent"), lean=True),
    "podlet": Recipe("labkit.podlet.main", (*_COMMON, "client", "podlet"), lean=True),
    "apiserver": Recipe("labkit.apiserver.main", (*_COMMON, "apiserver"), _SERVED_BY),
    "controllers": Recipe("labkit.apiserver.remote.main", (*_COMMON, "client", "apiserver")),
}

_MAIN = """\
import sys

from {module} import main

sys.exit(main(sys.argv[1:]))
"""
#: The same where memory counts, because it runs on every node.
_LEAN_MAIN = (
    """\
import standins

standins.install()

"""
    + _MAIN
)

#: PEP 552: bytecode that is never compared with its source.
_UNCHECKED = 0b01
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def load_archive(role: Role) -> bytes:
    """The archive, built if it was not yet built from just these files."""
    files = _sources(RECIPES[role])
    kept = _cache() / f"{role}-{_stamp(files)}.pyz"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    data = pack(files, RECIPES[role].main)
    with contextlib.suppress(OSError):  # no room, or no home: the next one builds again
        _keep(kept, role, data)
    return data


def build_archive(role: Role) -> bytes:
    """The archive, built now."""
    return pack(_sources(RECIPES[role]), RECIPES[role].main)


def pack(files: Mapping[str, Path], main: str) -> bytes:
    """Zip `files`, by their names inside; running it calls `main(argv)` of the module `main`."""
    first = _LEAN_MAIN if "standins.py" in files else _MAIN
    content = {"__main__.py": first.format(module=main).encode()}
    for name, path in files.items():
        content[name] = _INSTEAD.get(name) or path.read_bytes()
        if name.endswith(".py") and name not in _INSTEAD:
            content[f"{name}c"] = _bytecode(name, path, content[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, content[name])
    return buffer.getvalue()


def _bytecode(name: str, path: Path, source: bytes) -> bytes:
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    code = importlib.machinery.SourceFileLoader(module, str(path)).get_code(module)
    if code is None:
        raise errors.ConfigError(f"{path} has no code")
    flags = _UNCHECKED.to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source)
    return head + marshal.dumps(_renamed(code, name), 2)


def _renamed(code: types.CodeType, filename: str) -> types.CodeType:
    """Without the builder's paths: tracebacks name the file as the archive does."""
    constants = tuple(
        _renamed(each, filename) if isinstance(each, types.CodeType) else each
        for each in code.co_consts
    )
    return code.replace(co_filename=filename, co_consts=constants)


def _sources(recipe: Recipe) -> dict[str, Path]:
    """Names inside the archive, and the files they come from. Nothing of it is imported."""
    spec = importlib.util.find_spec("labkit")
    if spec is None or not spec.submodule_search_locations:
        raise errors.NotSupported("labkit's own files are not found", hint="install labkit again")
    root = Path(spec.submodule_search_locations[0])
    files = {}
    for part in recipe.parts:
        found = root / part
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            if path.is_file() and "__pycache__" not in path.parts:
                files[f"labkit/{path.relative_to(root).as_posix()}"] = path
    if recipe.lean:
        files["standins.py"] = Path(__file__).with_name("standins.py")
    for distribution in recipe.distributions:
        files |= _distribution(distribution, set())
    return files


def _distribution(name: str, seen: set[str]) -> dict[str, Path]:
    """The Python files of an installed distribution and of all that it requires here."""
    from importlib import metadata

    if name in seen or name in _LEFT_OUT:
        return {}
    seen.add(name)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return {}  # required of another Python, or of another system
    files = dict(_modules(found))
    for requirement in found.requires or ():
        if "extra ==" not in requirement:
            files |= _distribution(re.split(r"[^\w.-]", requirement, maxsplit=1)[0], seen)
    return files


def _modules(found: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    for file in found.files or ():
        path = PurePosixPath(file)
        if path.suffix in (".so", ".pyd"):
            if str(path).startswith(_SPARE):
                continue
            raise errors.NotSupported(
                f"{found.name} holds machine code ({path}), which cannot travel in an archive"
            )
        if path.suffix == ".py" and not str(path).startswith((*_LEFT_OUT, "..")):
            yield str(path), Path(str(found.locate_file(file)))


def _stamp(files: Mapping[str, Path]) -> str:
    """What the files look like from outside: enough to know that none has changed since.

    How they are packed counts too: this file is one of what makes an archive.
    """
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER + Path(__file__).read_bytes())
    for name, path in sorted(files.items()):
        info = path.stat()
        digest.update(f"{name} {path} {info.st_size} {info.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "labkit"


def _keep(path: Path, role: Role, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for older in path.parent.glob(f"{role}-*.pyz"):
        older.unlink()
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(data)
    fresh.replace(path)
