"""YAML, for the content types that are YAML by name: `application/yaml`, `.../apply-patch+yaml`.

JSON is YAML, and JSON is what nearly every client sends. So the YAML reader, which is large and
slow, is loaded when the first other document comes, and takes small ones only.
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver import decode, status

#: What takes the reader about a second, in which the server does nothing else.
MAX_YAML_BYTES = 128 * 1024


def parse(body: bytes) -> Any:
    """One document. Raises DecodeError; ApiError 413 for one that is too large to be YAML."""
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return decode.parse_json(body)
        except decode.DecodeError:
            # YAML's own flow style looks almost the same.
            pass
    if len(body) > MAX_YAML_BYTES:
        raise status.too_large(MAX_YAML_BYTES)
    return _parse_yaml(body)


def _parse_yaml(body: bytes) -> Any:
    import yaml

    try:
        if alias := _find_alias(yaml, body):
            raise decode.DecodeError(f"yaml: aliases are not taken; write out {alias}")
        return _strings(yaml.load(body, _loader(yaml)))  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise decode.DecodeError(f"yaml: {error}") from error


def _find_alias(yaml: Any, body: bytes) -> str:
    """The first alias: a few lines of aliases of aliases stand for more than any memory holds."""
    for event in yaml.parse(body, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            return f"*{event.anchor} in line {event.start_mark.line + 1}"
    return ""


def _loader(yaml: Any) -> Any:
    """Reads only what JSON could say, too: a date stays the text that it is."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined, unused-ignore]
        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [(tag, regexp) for tag, regexp in known if not tag.endswith(":timestamp")]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def _strings(value: Any) -> Any:
    """Keys of objects are text: `80: a` says `"80": a`."""
    if isinstance(value, dict):
        return {_key(key): _strings(item) for key, item in value.items()}
    return [_strings(item) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
