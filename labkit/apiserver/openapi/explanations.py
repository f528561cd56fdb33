r"""What structs and fields mean, in words: what `kubectl explain` prints.

The words stand in text files, one for each family of structs, and are forgotten when the documents
are rendered. A struct begins at the margin, its fields two spaces in; longer texts go on four
spaces in. A field may tell the values that it can have and the one that it gets when it is left
out:

    ServicePort: One way into a Service.
      protocol {SCTP|TCP|UDP} =TCP: The transport protocol that this port
        carries.

`EphemeralContainer < Container:` means that what is not said of the first is as with the second. A
field without words of its own has those of the struct that it holds, and else those that its name
has in `*`: a `readOnly` is everywhere the same.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labkit.apiserver import schema

_STRUCT = re.compile(r"(?P<name>[\w.*]+)(?: < (?P<like>[\w.]+))?: (?P<text>.*)")
_FIELD = re.compile(
    r"  (?P<name>\w+)(?: \{(?P<enum>[^}]+)\})?(?: =(?P<default>\S+))?: (?P<text>.*)"
)
_MORE = "    "
#: The texts of any struct.
EVERY = "*"


@dataclass(slots=True)
class Told:
    """What is said of a struct or a field."""

    text: str
    enum: tuple[str, ...] = ()
    default: str = ""
    like: str = ""
    fields: dict[str, Told] = field(default_factory=dict)


#: What is said of structs, by name.
Words = Mapping[str, Told]
_NOTHING = Told("")


class SyntaxProblem(ValueError):
    """A line that cannot be read."""


def load() -> Words:
    """The words of all families."""
    return {name: told for each in (*schema.FAMILIES, "query") for name, told in parse(read(each))}


def read(family: str) -> str:
    """The text of one family: also from inside an archive."""
    data = pkgutil.get_data(__package__, f"words/{family}.txt")
    assert data is not None
    return data.decode()


def parse(text: str) -> Iterator[tuple[str, Told]]:
    """Read the notation above. Raises SyntaxProblem."""
    struct = last = _NOTHING
    for line in filter(None, text.splitlines()):
        if line.startswith(_MORE):
            last.text = f"{last.text} {line.strip()}"
        elif found := _FIELD.fullmatch(line):
            enum = tuple((found["enum"] or "").split("|")) if found["enum"] else ()
            last = Told(found["text"], enum, found["default"] or "")
            struct.fields[found["name"]] = last
        elif found := _STRUCT.fullmatch(line):
            struct = last = Told(found["text"], like=found["like"] or "")
            yield found["name"], struct
        else:
            raise SyntaxProblem(line)


def of_field(words: Words, struct: str, member: schema.Field) -> Told:
    """What is said of a field, or of something that explains it."""
    here = words.get(struct, _NOTHING)
    there = words.get(here.like, _NOTHING)
    for told in (here, there):
        if member.name in told.fields:
            return told.fields[member.name]
    if member.type.name in words:
        return Told(words[member.type.name].text)
    return words[EVERY].fields.get(member.name, _NOTHING)
