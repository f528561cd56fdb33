"""The shape of every object: which fields a struct has, and of what type each is.

One notation serves everything that must know a kind's fields: decoding from JSON (a wrong type is
an error, an unknown field a warning or an error) and from protobuf, strategic merge patch (which
lists merge, and by what key) and OpenAPI (what `kubectl apply` and `kubectl explain` read). A
struct is its name on a line of its own, then its fields:

    ServicePort
      appProtocol:string#6 name:string#1 nodePort:int32#5 port!:int32#3 targetPort:intstr#4

`name:type#number`, where the number is the field's in protobuf (`2.1`: field 1 of the struct
embedded as field 2). After a name, `!` says that the field is required, `?` that a zero is not the
same as no value. Before a type, `[]` makes it a list, `{}` a map with string keys. `@key` after a
list says that a strategic merge patch merges its items by that key; a bare `@` that it merges
plain values. A list without it is replaced as a whole. Server-side apply came later and tells more
apart: `%port,protocol` says that it knows the items of this list by these keys. Without a `%` it
does as the patch does; a bare `%` means that a list or map has one owner, who replaces the whole.

A struct's name says all, except where two groups have structs of one name: then the one outside the
core group is named with its family, `discovery.EndpointPort`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_CORE = "io.k8s.api.core.v1"
#: The modules below `labkit.apiserver.schemas`, each with the package that OpenAPI puts its structs
#: into. A new family of kinds is one more line here.
FAMILIES: Mapping[str, str] = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta.v1",
    "core": _CORE,
    "pods": _CORE,
    "volumes": _CORE,
    "apps": "io.k8s.api.apps.v1",
    "autoscaling": "io.k8s.api.autoscaling.v1",
    "discovery": "io.k8s.api.discovery.v1",
    "coordination": "io.k8s.api.coordination.v1",
    "events": "io.k8s.api.events.v1",
    "policy": "io.k8s.api.policy.v1",
    "authorization": "io.k8s.api.authorization.v1",
    "authentication": "io.k8s.api.authentication.v1",
}


#: Structs that have one owner as a whole: server-side apply does not merge their fields.
ATOMIC = frozenset(
    {
        "ConfigMapKeySelector",
        "LabelSelector",
        "LocalObjectReference",
        "NodeSelector",
        "NodeSelectorTerm",
        "ObjectFieldSelector",
        "ObjectReference",
        "ResourceFieldSelector",
        "SecretKeySelector",
        "TypedLocalObjectReference",
    }
)
#: Structs with a choice of fields: a patch that chooses another names those that may stay.
UNIONS = frozenset({"DeploymentStrategy", "PodResourceClaim", "Volume"})


@dataclass(frozen=True, slots=True)
class Type:
    """`shape` says how the value is held; `name` is the struct or scalar at the bottom of it."""

    shape: str  # "one", "list" or "map"
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    required: bool = False
    #: A zero is a value of its own, other than none: `terminationGracePeriodSeconds: 0`.
    zero_counts: bool = False
    #: None: a strategic merge patch replaces the list. "": it merges plain values. Else: by this
    #: key.
    merge_key: str | None = None
    #: The keys by which server-side apply knows a list's items, where they are others. Empty: the
    #: list or map is one value to it.
    apply_keys: tuple[str, ...] | None = None
    #: Where protobuf has it: a number, or the way through embedded structs.
    numbers: tuple[int, ...] = ()

    @property
    def list_type(self) -> str:
        """How server-side apply sees the list: `map`, `set`, or `atomic` (one value)."""
        if self.map_keys:
            return "map"
        return "set" if self.merge_key == "" and self.apply_keys is None else "atomic"

    @property
    def map_keys(self) -> tuple[str, ...]:
        """The keys of a list that is a map; none for other lists."""
        if self.apply_keys is not None:
            return self.apply_keys
        return (self.merge_key,) if self.merge_key else ()


#: A struct's fields by name.
Struct = Mapping[str, Field]

_SHAPES = {"[]": "list", "{}": "map"}


def parse_structs(text: str) -> dict[str, Struct]:
    r"""Read the notation above.

    >>> parse_structs("Port\n  port!:int32")["Port"]["port"].required
    True
    """
    structs: dict[str, dict[str, Field]] = {}
    current: dict[str, Field] = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            current = structs.setdefault(line.strip(), {})
        for word in line.split() if line.startswith(" ") else ():
            field = parse_field(word)
            current[field.name] = field
    return dict(structs)


def parse_field(word: str) -> Field:
    """Read one field: `ports:[]ServicePort@port#1`."""
    name, _, rest = word.partition(":")
    rest, _, numbers = rest.partition("#")
    rest, percent, keys = rest.partition("%")
    type_text, at, key = rest.partition("@")
    shape = _SHAPES.get(type_text[:2], "one")
    bottom = type_text if shape == "one" else type_text[2:]
    return Field(
        name.rstrip("!?"),
        Type(shape, bottom),
        required="!" in name,
        zero_counts="?" in name,
        merge_key=key if at else None,
        apply_keys=tuple(k for k in keys.split(",") if k) if percent else None,
        numbers=tuple(int(number) for number in numbers.split(".") if number),
    )


@functools.cache
def family(name: str) -> dict[str, Struct]:
    """The structs of one module. Read once, when first asked for."""
    module = importlib.import_module(f"labkit.apiserver.schemas.{name}")
    return parse_structs(module.STRUCTS)


@functools.cache
def structs() -> dict[str, Struct]:
    """Every struct of the API by its Go name."""
    return {name: struct for module in FAMILIES for name, struct in family(module).items()}


def bare(name: str) -> str:
    """A struct's Go name: without the family.

    >>> bare("discovery.EndpointPort")
    'EndpointPort'
    """
    return name.rpartition(".")[2]


def package_of(name: str) -> str:
    """The OpenAPI package of a struct."""
    return next(package for module, package in FAMILIES.items() if name in family(module))


def fields_of(name: str) -> Struct:
    """The fields of a struct; none for a scalar."""
    return structs().get(name, {})


def reachable(names: tuple[str, ...]) -> Iterator[str]:
    """These structs and all that their fields lead to, each once."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in structs():
            continue
        seen.add(name)
        waiting += [field.type.name for field in fields_of(name).values()]
        yield name
