"""What stands in for some modules of the standard library on a node. Travels in an archive.

`typing` tells a type checker what is meant, and nothing to a program that runs. The others are
imported by modules that hardly ever ask them: `inspect` by `dataclasses`, for the docstring of a
class that has none; `traceback` by `logging`, when something has failed; `locale` by `subprocess`,
for the encoding of a program that nobody has named one for. With what they import in turn, they
would keep two and a half megabytes in each process on each node.

What a stand-in does not have is looked for in the real module, which is imported then. So nothing
can be missing; it only costs more.
"""

from __future__ import annotations

import collections
import sys
import types


class StandIn(types.ModuleType):
    """A module that gives way to the real one of its name when it is asked for more than it has."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what `import` itself looks for, as in any module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(__import__(self.__name__), name)


class Word:
    """`Any`, `Literal["a", "b"]`, a base such as `Generic[T]`: all the same, and without effect."""

    __slots__ = ()

    def __class_getitem__(cls, _: object) -> type[Word]:
        return cls


class ClassVar(Word):
    """The one word that a program heeds: `dataclasses` makes no field of what is marked by it."""


class NamedTuple(type):
    """Makes a tuple whose places have the names that a class lists."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, dict[str, str]]) -> type:
        fields = body.get("__annotations__")
        if not fields:
            return super().__new__(cls, name, bases, body)
        return collections.namedtuple(name, fields)


_TYPING = {
    **dict.fromkeys(("Any", "BinaryIO", "Generic", "IO", "Literal", "Protocol", "Self"), Word),
    "ClassVar": ClassVar,
    "NamedTuple": NamedTuple("NamedTuple", (), {}),
    "TypeVar": lambda _: Word,
    "TYPE_CHECKING": False,
    # Asked for by dataclasses, which looks for what only the real module makes.
    "_GenericAlias": Word,
}


def install() -> None:
    """From here on these modules are stood in for."""
    for name in ("typing", "inspect", "traceback", "locale"):
        sys.modules[name] = StandIn(name)
    vars(sys.modules["typing"]).update(_TYPING)
