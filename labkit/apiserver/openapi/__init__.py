"""OpenAPI: the whole API as a document, for programs that must know it without reading Go.

kubectl reads it for three things: whether the server checks fields itself (PATCH has a parameter
`fieldValidation`), which lists merge by which key (`x-kubernetes-patch-*`), and what `kubectl
explain` prints. It comes in two generations. Version 3 is one document for each group, found by an
index whose hashes let clients keep what they have; version 2 is one document for everything, which
clients before Kubernetes 1.27 ask for, in protobuf.

    definitions    structs with their fields: from the schemas
    paths          URLs with their verbs and parameters: from the table of kinds
    explanations   what fields mean, in words: from `words/*.txt`
    gnostic        version 2 in protobuf

Nothing here is imported before a client asks. What is rendered is kept compressed: most clients
take it so, and all of it together is then smaller than one document in the clear.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.apiserver import discovery, kinds
from labkit.apiserver.openapi import definitions, explanations, gnostic, paths


@dataclass(frozen=True, slots=True)
class Document:
    """A finished document, compressed, and the hash of what it says."""

    packed: bytes = field(repr=False)
    digest: str

    @property
    def text(self) -> bytes:
        return gzip.decompress(self.packed)


def _document(text: bytes) -> Document:
    # No time stamp: the same document is the same bytes.
    return Document(gzip.compress(text, 6, mtime=0), hashlib.sha256(text).hexdigest()[:32].upper())


def prefix_of(group: str, version: str) -> str:
    """`api/v1`, `apis/apps/v1`: a group and version as /openapi/v3 lists them."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


@functools.cache
def index() -> Document:
    """/openapi/v3: where each group's document is."""
    found = {
        prefix: {"serverRelativeURL": f"/openapi/v3/{prefix}?hash={document.digest}"}
        for prefix, document in groups().items()
    }
    return _document(_encode({"paths": found}))


@functools.cache
def groups() -> Mapping[str, Document]:
    """/openapi/v3/PREFIX: the documents of all groups. The words are read once for all of them."""
    words = explanations.load()
    return {
        prefix_of(group, version): _document(_encode(_v3(group, version, words)))
        for group, version in kinds.group_versions()
    }


def _v3(group: str, version: str, words: explanations.Words) -> dict[str, Any]:
    members = kinds.of_group(group, version)
    schemas = definitions.render(members, definitions.V3, words)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": paths.render(members, definitions.V3, words),
        "components": {"schemas": schemas},
    }


@functools.cache
def v2() -> Document:
    """/openapi/v2: all groups in one document."""
    return _document(_encode(_v2()))


@functools.cache
def v2_protobuf() -> Document:
    """The same, as clients written in Go want it."""
    return _document(gnostic.encode(_v2()))


def _v2() -> dict[str, Any]:
    words = explanations.load()
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": paths.render(kinds.KINDS, definitions.V2, words),
        "definitions": definitions.render(kinds.KINDS, definitions.V2, words),
    }


def _info() -> dict[str, str]:
    return {"title": "Kubernetes", "version": discovery.version()["gitVersion"]}


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
