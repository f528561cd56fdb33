"""A request about a resource, taken apart, and the two forms of answer: a body, or a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.apiserver import authn, media, request_info, selectors
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks for. `kind` has been looked up; `user` may do this."""

    info: request_info.RequestInfo
    kind: kind_module.Kind
    user: authn.User
    query: Mapping[str, str]
    body: bytes = b""
    content_type: str = ""
    accept: str = ""
    user_agent: str = ""

    @property
    def namespace(self) -> str:
        """The namespace of the objects in question: a Namespace itself is in none."""
        return self.info.namespace if self.kind.resource.namespaced else ""

    @property
    def form(self) -> kind_module.Form | None:
        """The form in which the object travels, where that is not its own."""
        below = self.kind.subresource(self.info.subresource)
        return below.form if below else None

    @property
    def struct(self) -> str:
        """The struct that travels: that of the kind, or of its subresource."""
        below = self.kind.subresource(self.info.subresource)
        return below.struct if below else self.kind.struct

    @property
    def api_version(self) -> str:
        """The version that goes with the struct: a `scale` is not of its kind's group."""
        below = self.kind.subresource(self.info.subresource)
        return below.api_version if below else self.kind.resource.api_version

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dryRun"))


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    body: bytes
    warnings: tuple[str, ...] = ()
    media_type: str = media.JSON
    #: Further headers, their names in lower case.
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines of JSON, or of a log, until the client or the server has had enough."""

    lines: AsyncIterator[bytes]
    media_type: str = media.JSON


def answer(obj: Any, code: int = 200, *, warnings: tuple[str, ...] = ()) -> Answer:
    return Answer(code, encode(obj), warnings)


def encode(obj: Any) -> bytes:
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


class Filter:
    """The label and field selectors of a list, a watch or a deletecollection."""

    def __init__(self, call: Call) -> None:
        """Raises ApiError 400."""
        self._kind = call.kind
        self._labels = selectors.parse_labels(call.query.get("labelSelector", ""))
        example = {"metadata": {}, "spec": {"type": ""}}
        known = call.kind.field_values(example)
        text = call.query.get("fieldSelector", "")
        self._fields = selectors.parse_fields(text, known.__contains__)

    @property
    def is_empty(self) -> bool:
        return not self._labels and not self._fields

    def __call__(self, obj: resources.Object) -> bool:
        if self._labels and not selectors.match_labels(self._labels, obj["metadata"].get("labels")):
            return False
        return not self._fields or selectors.match_fields(
            self._fields, self._kind.field_values(obj)
        )


#: The forms in which objects can be had, by what the Accept header calls them.
SHAPES: Mapping[str, tuple[str, ...]] = {
    "Table": ("v1",),
    "PartialObjectMetadata": ("v1",),
    "PartialObjectMetadataList": ("v1",),
}


def wanted(call: Call) -> media.Wanted:
    """Raises ApiError 406."""
    return media.parse_accept(call.accept, SHAPES)
