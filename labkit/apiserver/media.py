"""What a client wants back, and what it has sent: the part of content negotiation that counts.

Clients written in Go ask for protobuf first and take JSON as well; kubectl asks for tables first. A
client that accepts nothing we speak gets 406, one that sends what we cannot read gets 415.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.apiserver import status

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

_SPOKEN = ("application/json", "application/*", "*/*")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form of the answer: `shape` is empty, or `Table`, `APIGroupDiscoveryList`, ..."""

    shape: str = ""
    version: str = ""


def parse_accept(header: str, shapes: Mapping[str, tuple[str, ...]]) -> Wanted:
    """The first form in an Accept header that we can give. `shapes` are those possible here.

    Raises ApiError 406.

    >>> parse_accept("application/json;as=Table;v=v1;g=meta.k8s.io", {"Table": ("v1",)}).shape
    'Table'
    """
    for clause in (header or "*/*").split(","):
        kind, *parameters = [part.strip() for part in clause.split(";")]
        if kind not in _SPOKEN:
            continue
        values = dict(p.split("=", 1) for p in parameters if "=" in p)
        shape, version = values.get("as", ""), values.get("v", "")
        if not shape:
            return Wanted()
        if version in shapes.get(shape, ()):
            return Wanted(shape, version)
    raise status.not_acceptable(JSON)


def check_json(header: str) -> None:
    """Raises ApiError 415 for a body that is neither. No header at all means JSON."""
    kind = header.partition(";")[0].strip().lower()
    if kind not in ("", JSON):
        raise status.unsupported_media_type([JSON, YAML, PROTOBUF])


def is_yaml(header: str) -> bool:
    return header.partition(";")[0].strip().lower() == YAML


def is_protobuf(header: str) -> bool:
    return header.partition(";")[0].strip().lower() == PROTOBUF


def parse_patch_type(header: str) -> str:
    """Raises ApiError 415."""
    kind = header.partition(";")[0].strip().lower()
    if kind not in PATCHES:
        raise status.unsupported_media_type(PATCHES)
    return kind
