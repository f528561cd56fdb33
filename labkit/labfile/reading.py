"""Read the lab file, and make a checked LabSpec of it.

A wrong value ends as one ConfigError that names the file, the key, what was found, and what is
allowed. Everything here says only the key (`_Wrong`); `load` alone knows where it came from.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from labkit import errors, paths
from labkit.labfile import grammar
from labkit.model import pool, spec, words

#: A type and base64, as in authorized_keys and in a .pub file.
_PUBLIC_KEY = re.compile(r"(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/]+=*(\s|$)")


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> spec.LabSpec:
    """Read the lab file at `path` (None: the one found from the current folder upwards).

    A lab that was made keeps itself as a lab file in JSON, so this reads that as well.

    `overrides` come from flags and go over the file's values; their keys are the file's own with
    dots, `{"nodes.workers": 3}`, and None says nothing. Raises ConfigError.
    """
    path = path or paths.find_lab_file(Path.cwd())
    flags = {key: value for key, value in (overrides or {}).items() if value is not None}
    said = _read(path) if path else {}
    for key, value in flags.items():
        _put(said, key.split("."), value)
    folder = Path.cwd() if "control_plane.kubeconfig" in flags or not path else path.parent
    try:
        return _plan(_convert(said), folder)
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
        text = path.read_text(encoding="utf-8")
        return dict(json.loads(text)) if path.suffix == ".json" else tomllib.loads(text)
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


def _convert(said: Mapping[str, Any]) -> grammar.LabFile:
    try:
        return msgspec.convert(said, grammar.LabFile)
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
    kind: Any = grammar.LabFile
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


def _plan(file: grammar.LabFile, folder: Path) -> spec.LabSpec:
    """`folder` is where a relative path begins: at the lab file, or where the flag was typed."""
    network = file.network
    _check_name(file.name)
    _check_word("provider", file.provider, grammar.PROVIDERS)
    _check_word("proxy.mode", file.proxy.mode, grammar.PROXY_MODES)
    return spec.plan(
        file.name,
        provider=file.provider,
        workers=file.nodes.workers,
        clients=file.nodes.clients,
        machine_network=_network("network.machines", network.machines),
        pod_network=_network("network.pods", network.pods),
        service_network=_network("network.services", network.services),
        node_ports=_ports("network.node_ports", network.node_ports),
        load_balancers=_pool("network.load_balancers", network.load_balancers),
        proxy=spec.ProxySpec(file.proxy.mode, _flags(file.proxy.flags)),
        control_plane=_control_plane(file.control_plane, folder),
        vagrant=_vagrant(file.vagrant),
        hosts=_hosts(file, folder),
    )


def _vagrant(said: grammar.Vagrant) -> spec.VagrantSpec:
    if said.provider:
        _check_word("vagrant.provider", said.provider, grammar.VAGRANT_PROVIDERS)
    return spec.VagrantSpec(**msgspec.structs.asdict(said))


def _control_plane(said: grammar.ControlPlane, folder: Path) -> spec.ControlPlaneSpec:
    if said.context and not said.kubeconfig:
        raise _Wrong(
            "control_plane.context",
            f'"{said.context}" is a context of no kubeconfig',
            "say control_plane.kubeconfig, or --kubeconfig, too",
        )
    if not said.kubeconfig:
        return spec.ControlPlaneSpec()
    path = _path("control_plane.kubeconfig", said.kubeconfig, folder)
    return spec.ControlPlaneSpec(path, said.context)


def _hosts(file: grammar.LabFile, folder: Path) -> tuple[spec.HostSpec, ...]:
    """Names and roles that were not said follow from the order: control, node1, node2, ..."""
    said = file.hosts
    if (file.provider == "ssh") != bool(said):
        why = "the provider ssh needs hosts" if not said else "only the provider ssh has hosts"
        raise _Wrong("hosts", why, 'say provider = "ssh", and [[hosts]] with an address each')
    for host in said:
        if host.role:
            _check_word("hosts.role", host.role, grammar.ROLES)
        if host.host_key and not _PUBLIC_KEY.match(host.host_key):
            raise _Wrong("hosts.host_key", "this is no public key", 'write "ssh-ed25519 AAAA..."')
    roles = [host.role for host in said]
    if said and "control-plane" not in roles:
        first = next((place for place, role in enumerate(roles) if not role), None)
        if first is None:
            raise _Wrong("hosts.role", "no host is the control-plane", "say it of one of them")
        roles[first] = "control-plane"
    if roles.count("control-plane") > 1:
        raise _Wrong("hosts.role", "two hosts are the control-plane", "say it of one of them")
    numbers = itertools.count(1)
    return tuple(
        spec.HostSpec(
            host.name or ("control" if role == "control-plane" else f"node{next(numbers)}"),
            host.address,
            "control-plane" if role == "control-plane" else "worker",
            host.port,
            host.user,
            _path("hosts.key", host.key, folder) if host.key else "",
            host.host_key,
        )
        for host, role in zip(said, roles, strict=True)
    )


def _path(key: str, text: str, folder: Path) -> str:
    try:
        return str((folder / Path(text).expanduser()).absolute())
    except RuntimeError as error:
        raise _Wrong(key, str(error), "write the path in full") from error


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


def _pool(key: str, text: str) -> pool.Pool | None:
    try:
        return spec.parse_pool(text) if text else None
    except errors.ConfigError as error:
        raise _Wrong(key, error.message, error.hint) from error


def _ports(key: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise _Wrong(key, f'"{text}" is not allowed', f"allowed is {_allowed_at(key)}")
    return first, last


def _flags(flags: Mapping[str, grammar.Flag]) -> dict[str, str]:
    bare = {name.lstrip("-"): value for name, value in flags.items()}
    for name in bare:
        key = f"proxy.flags.{name}"
        if name in grammar.OWN_FLAGS:
            raise _Wrong(key, "this flag is labkit's to set", grammar.OWN_FLAGS[name])
        if name not in grammar.PROXY_FLAGS:
            raise _Wrong(
                key, "the agent has no such flag", words.suggest(name, grammar.PROXY_FLAGS)
            )
    return {name: _flag_text(value) for name, value in bare.items()}


def _flag_text(value: grammar.Flag) -> str:
    """`true`, not `True`: a flag's value is written as Go writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
