"""What the server tells of itself: health, version, discovery, OpenAPI. A small table of paths.

Discovery and OpenAPI are long and hardly ever change, so clients keep them. Each comes with an
`ETag`, a mark of what it says: a client sends it back as `If-None-Match` and gets 304 without a
body as long as nothing is new. The documents of OpenAPI v3 go one step further: their address has
the hash in it, so one that a client has is right for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.apiserver import compression, discovery, kinds, media, status
from labkit.apiserver.call import Answer, answer, encode
from labkit.model import resources

if TYPE_CHECKING:
    from labkit.apiserver import openapi

_HEALTH = ("/healthz", "/livez", "/readyz")
_TEXT = "text/plain; charset=utf-8"
#: A client that keeps it must still ask whether it is right.
_ASK = ("cache-control", "public")
_FOR_EVER = ("cache-control", "public, immutable, max-age=31536000")
_VARY = ("vary", "Accept, Accept-Encoding")
_PACKED = (("content-encoding", "gzip"),)

_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#: As it is asked for: by all clients with the `@`, which no media type may have.
_PROTOBUF_NAMES = (_PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is about no resource. Header names are in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    #: `host:port`, under which the server is known.
    address: str

    @property
    def accept(self) -> str:
        return self.headers.get("accept", "")


def find(question: Question) -> Answer:
    """Raises ApiError 404 for an unknown path, 406 for a form that there is not."""
    path = question.path.rstrip("/")
    for health in _HEALTH:
        if path == health or path.startswith(f"{health}/"):
            return _health(path, verbose="verbose" in question.query)
    if path == "":
        return answer({"paths": _known_paths()})
    if path == "/version":
        return answer(discovery.version())
    if path.startswith("/openapi/"):
        return _openapi(question, path)
    return _discover(question, path)


def _health(path: str, *, verbose: bool) -> Answer:
    """`ok`: whoever can answer is well. `?verbose` lists what was checked, as Kubernetes does."""
    name, _, check = path.removeprefix("/").partition("/")
    if check not in ("", "ping"):
        raise status.no_such_path()
    listed = f"[+]ping ok\n{name} check passed\n"
    return Answer(200, listed.encode() if verbose else b"ok", media_type=_TEXT)


def _known_paths() -> list[str]:
    found = ["/api", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"]
    for group, version in kinds.group_versions():
        root = f"/apis/{group}" if group else "/api"
        found += [root, f"{root}/{version}"]
    return sorted(set(found))


# --- discovery -----------------------------------------------------------------------------------


def _discover(question: Question, path: str) -> Answer:
    parts = path.strip("/").split("/")
    if parts in (["api"], ["apis"]):
        return _discover_all(question, core=parts == ["api"])
    media.parse_accept(question.accept, {})
    group, version = ("", parts[1:]) if parts[0] == "api" else (parts[1:2], parts[2:])
    return answer(_discover_group("".join(group), "".join(version)))


def _discover_all(question: Question, *, core: bool) -> Answer:
    wanted = media.parse_accept(question.accept, discovery.AGGREGATED)
    if not wanted.shape:
        plain = discovery.api_versions(question.address) if core else discovery.api_groups()
        return answer(plain)
    body = encode(discovery.aggregated(core=core, form=wanted.version))
    tag = hashlib.sha256(body).hexdigest()[:32].upper()
    kind = f"application/json;g=apidiscovery.k8s.io;v={wanted.version};as={wanted.shape}"
    return _tagged(question, Answer(200, body, media_type=kind), tag, _ASK)


def _discover_group(group: str, version: str) -> resources.Object:
    """/api/v1, /apis/GROUP or /apis/GROUP/VERSION."""
    known = kinds.group_versions()
    if (group, version) in known:
        return discovery.api_resources(group, version)
    if group and not version and group in dict(known):
        group_of = discovery.api_group(group)
        return {"kind": "APIGroup", "apiVersion": "v1", **group_of}
    raise status.no_such_path()


# --- OpenAPI -------------------------------------------------------------------------------------


def _openapi(question: Question, path: str) -> Answer:
    # Imported when first asked for, with all its words: most servers never are.
    from labkit.apiserver import openapi

    if path == "/openapi/v2" and _wants_protobuf(question.accept):
        return _document(question, openapi.v2_protobuf(), _ASK, _PROTOBUF)
    media.parse_accept(question.accept, {})
    if path == "/openapi/v2":
        return _document(question, openapi.v2(), _ASK)
    if path == "/openapi/v3":
        return _document(question, openapi.index(), _ASK)
    document = openapi.groups().get(path.removeprefix("/openapi/v3/"))
    if document is None:
        raise status.no_such_path()
    wanted = question.query.get("hash")
    if wanted and wanted != document.digest:
        place = f"{path}?hash={document.digest}"
        return Answer(301, b"", headers=(("location", place),))
    return _document(question, document, _FOR_EVER if wanted else _ASK)


def _wants_protobuf(accept: str) -> bool:
    return any(clause.partition(";")[0].strip() in _PROTOBUF_NAMES for clause in accept.split(","))


def _document(
    question: Question,
    document: openapi.Document,
    caching: tuple[str, str],
    media_type: str = media.JSON,
) -> Answer:
    """Documents are kept compressed, and go out so to whoever takes it."""
    if compression.is_accepted(question.headers.get("accept-encoding", "")):
        found = Answer(200, document.packed, media_type=media_type, headers=_PACKED)
    else:
        found = Answer(200, document.text, media_type=media_type)
    return _tagged(question, found, document.digest, caching)


def _tagged(question: Question, found: Answer, tag: str, caching: tuple[str, str]) -> Answer:
    """The answer with its mark; without its body for a client that has it already."""
    marks = (("etag", f'"{tag}"'), caching, _VARY)
    has = question.headers.get("if-none-match", "")
    if has == "*" or f'"{tag}"' in has:
        # Of the same type: a cache puts the headers of a 304 in place of those that it has.
        return Answer(304, b"", media_type=found.media_type, headers=marks)
    headers = (*found.headers, *marks)
    return Answer(found.code, found.body, media_type=found.media_type, headers=headers)
