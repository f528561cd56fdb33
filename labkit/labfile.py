"""The lab file, `labkit.toml`: what a person may say about a lab, and how it is read.

Every key has a default, so no file is needed. This is all of it:

    name = "lab"
    provider = "netns"

    [nodes]
    workers = 2
    clients = 1

    [network]
    machines = "192.168.56.0/24"
    pods = "10.244.0.0/16"
    services = "10.96.0.0/16"
    node_ports = "30000-32767"

    [proxy]
    mode = "userspace"

    [proxy.flags]                      # kube-proxy's own flags, without the dashes
    udp-timeout = "250ms"

The classes below are that file's grammar: their fields are its keys, and each type carries the
sentence that a person reads after a bad value. Wrong values end as one ConfigError that names the
file, the key, what was found, and what is allowed.
"""

from __future__ import annotations

import ipaddress
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from labkit import errors
from labkit.model import spec, words

FILE_NAME = "labkit.toml"
PROVIDERS = ("netns",)
PROXY_MODES = ("userspace",)

#: The flags that labkit gives the agent itself, each with where its value comes from.
OWN_FLAGS = {
    "kubeconfig": "labkit writes it for every node",
    "hostname-override": "it is the node's name",
    "node-ip": "it is the node's address",
    "proxy-mode": "say `mode` under [proxy]",
}

Flag = str | int | float | bool


def _allowed(sentence: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=sentence, **limits)


Count = Annotated[int, _allowed("a whole number from 1 to 80", ge=1, le=80)]
CountOrNone = Annotated[int, _allowed("a whole number from 0 to 50", ge=0, le=50)]
Network = Annotated[str, _allowed('an IPv4 network such as "10.244.0.0/16"')]
PortRange = Annotated[str, _allowed('two ports from 1 to 65535 such as "30000-32767"')]
Name = Annotated[str, _allowed("1 to 28 lower-case letters, digits and hyphens")]
Provider = Annotated[str, _allowed(" or ".join(f'"{name}"' for name in PROVIDERS))]
ProxyMode = Annotated[str, _allowed(" or ".join(f'"{mode}"' for mode in PROXY_MODES))]
FlagTable = Annotated[
    dict[str, Flag], _allowed("a table of kube-proxy's flags, each a string, a number or a boolean")
]


class Nodes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[nodes]`: how many machines beside `control`; clients are outside the cluster."""

    workers: Count = 2
    clients: CountOrNone = 1


class Networks(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[network]`: the three networks, and the ports that a Service may open on every node."""

    machines: Network = "192.168.56.0/24"
    pods: Network = "10.244.0.0/16"
    services: Network = "10.96.0.0/16"
    node_ports: PortRange = "30000-32767"


class Proxy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[proxy]`: how the agent is started."""

    mode: ProxyMode = "userspace"
    flags: FlagTable = {}


class LabFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    name: Name = spec.DEFAULT_NAME
    provider: Provider = "netns"
    nodes: Nodes = Nodes()
    network: Networks = Networks()
    proxy: Proxy = Proxy()


def find(start: Path) -> Path | None:
    """The nearest lab file at or above the folder `start`."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> spec.LabSpec:
    """Read the lab file at `path` (None: the one found from the current folder upwards).

    `overrides` come from flags and go over the file's values; their keys are the file's own with
    dots, `{"nodes.workers": 3}`, and None says nothing. Raises ConfigError.
    """
    path = path or find(Path.cwd())
    flags = {key: value for key, value in (overrides or {}).items() if value is not None}
    said = _read(path) if path else {}
    for key, value in flags.items():
        _put(said, key.split("."), value)
    try:
        return _plan(_convert(said))
    except _Wrong as wrong:
        place = "given as a flag" if wrong.key in flags or not path else str(path)
        raise errors.ConfigError(f"{place}: {wrong.key}: {wrong.found}", hint=wrong.hint) from wrong
    except errors.ConfigError as error:
        place = f"{path}: " if path and not flags else ""
        raise errors.ConfigError(f"{place}{error.message}", hint=error.hint) from error


class _Wrong(Exception):
    """A value that cannot be. `load` adds where it came from."""

    def __init__(self, key: str, found: str, hint: str) -> None:
        super().__init__(key)
        self.key, self.found, self.hint = key, found, hint


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(
            f"{path} is not TOML: {error}", hint="a text needs quotes, a table begins with [name]"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"{path} cannot be read: {error}") from error


def _put(table: dict[str, Any], keys: list[str], value: Any) -> None:
    first, *rest = keys
    if not rest:
        table[first] = value
    elif isinstance(inner := table.setdefault(first, {}), dict):
        _put(inner, rest, value)
    # else the file says `nodes = 3`: converting will name that mistake


def _convert(said: Mapping[str, Any]) -> LabFile:
    try:
        return msgspec.convert(said, LabFile)
    except msgspec.ValidationError as error:
        raise _explain(str(error), said) from error


def _explain(message: str, said: Mapping[str, Any]) -> _Wrong:
    """Msgspec says where (`... - at `$.nodes.workers``) and which field is not known."""
    at = re.search(r" - at `\$\.?([^`[]*)", message)
    key = at[1] if at else ""
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if unknown:
        full = f"{key}.{unknown[1]}" if key else unknown[1]
        return _Wrong(full, "there is no such key", words.suggest(unknown[1], _keys(key)))
    found = json.dumps(_look_up(said, key), default=str)
    return _Wrong(key, f"{found} is not allowed", f"allowed is {_allowed_at(key)}")


def _look_up(said: Any, key: str) -> Any:
    for part in key.split("."):
        said = said[part]
    return said


def _types(key: str) -> Iterator[Any]:
    """The type of the file, then of each part of `key`, from outside to inside."""
    kind: Any = LabFile
    yield kind
    for part in filter(None, key.split(".")):
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == part)
        yield kind


def _keys(key: str) -> tuple[str, ...]:
    *_, table = _types(key)
    return tuple(field.name for field in msgspec.structs.fields(table))


def _allowed_at(key: str) -> str:
    """What is allowed at `key`: the sentence that its type carries; of a table, its keys."""
    *_, kind = _types(key)
    notes = getattr(kind, "__metadata__", ())
    return str(notes[0].description) if notes else f"a table with {', '.join(_keys(key))}"


def _plan(file: LabFile) -> spec.LabSpec:
    network = file.network
    _check_name(file.name)
    _check_word("provider", file.provider, PROVIDERS)
    _check_word("proxy.mode", file.proxy.mode, PROXY_MODES)
    return spec.plan(
        file.name,
        provider=file.provider,
        workers=file.nodes.workers,
        clients=file.nodes.clients,
        machine_network=_network("network.machines", network.machines),
        pod_network=_network("network.pods", network.pods),
        service_network=_network("network.services", network.services),
        node_ports=_ports("network.node_ports", network.node_ports),
        proxy=spec.ProxySpec(file.proxy.mode, _flags(file.proxy.flags)),
    )


def _check_name(name: str) -> None:
    try:
        spec.check_name(name)
    except errors.ConfigError as error:
        raise _Wrong("name", error.message, error.hint) from error


def _check_word(key: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise _Wrong(key, f"there is no {found!r}", words.suggest(found, known))


def _network(key: str, text: str) -> ipaddress.IPv4Network:
    try:
        return spec.parse_network(text)
    except errors.ConfigError as error:
        raise _Wrong(key, error.message, error.hint) from error


def _ports(key: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise _Wrong(key, f'"{text}" is not allowed', f"allowed is {_allowed_at(key)}")
    return first, last


def _flags(flags: Mapping[str, Flag]) -> dict[str, str]:
    bare = {name.lstrip("-"): value for name, value in flags.items()}
    for name in bare.keys() & OWN_FLAGS.keys():
        raise _Wrong(f"proxy.flags.{name}", "labkit sets this flag itself", OWN_FLAGS[name])
    return {name: _flag_text(value) for name, value in bare.items()}


def _flag_text(value: Flag) -> str:
    """`true`, not `True`: a flag's value is written as Go writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
