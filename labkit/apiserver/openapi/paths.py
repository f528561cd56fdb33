"""URLs with their verbs and parameters, as OpenAPI lists them: from the table of kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from labkit.apiserver import media, schema
from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.openapi import definitions, explanations

#: The query parameters of each verb, in the notation of the schemas.
_SELECT = (
    "allowWatchBookmarks:bool continue:string fieldSelector:string labelSelector:string "
    "limit:int32 resourceVersion:string resourceVersionMatch:string sendInitialEvents:bool "
    "timeoutSeconds:int32"
)
_WRITE = "dryRun:string fieldManager:string fieldValidation:string"
_DELETE = "dryRun:string gracePeriodSeconds:int32 orphanDependents:bool propagationPolicy:string"
_QUERY = {
    "get": "resourceVersion:string",
    "list": f"{_SELECT} watch:bool",
    "create": _WRITE,
    "update": _WRITE,
    "patch": f"{_WRITE} force:bool",
    "delete": _DELETE,
    "deletecollection": f"{_SELECT} {_DELETE}",
    "log": (
        "container:string follow:bool limitBytes:int32 previous:bool sinceSeconds:int32 "
        "tailLines:int32 timestamps:bool"
    ),
    "connect": "command:string container:string stderr:bool stdin:bool stdout:bool tty:bool",
}
#: Each verb's method, what the documents call the verb, and how operations are named after it.
_VERBS = {
    "get": ("get", "get", "read"),
    "list": ("get", "list", "list"),
    "create": ("post", "post", "create"),
    "update": ("put", "put", "replace"),
    "patch": ("patch", "patch", "patch"),
    "delete": ("delete", "delete", "delete"),
    "deletecollection": ("delete", "deletecollection", "delete"),
}
_ON_COLLECTION = ("list", "create", "deletecollection")
_ON_OBJECT = ("get", "update", "patch", "delete")
_STORES = ("create", "update", "patch")
_BODIES = (*_STORES, "delete", "deletecollection")

_Render = dict[str, Any]


def render(
    members: Iterable[kind_module.Kind],
    dialect: definitions.Dialect,
    words: explanations.Words,
) -> dict[str, Any]:
    """Every path of these kinds with its operations."""
    found: dict[str, Any] = {}
    for kind in members:
        for path, verbs, below in _places(kind):
            item = {
                _VERBS[verb][0]: _Operation(kind, verb, below, path, dialect, words).render()
                for verb in verbs
            }
            if item:
                found[path] = {**item, "parameters": _path_parameters(path, dialect, words)}
    return found


def _places(
    kind: kind_module.Kind,
) -> Iterator[tuple[str, list[str], kind_module.Subresource | None]]:
    """Each path of a kind and what can be done there."""
    resource = kind.resource
    namespace = "{namespace}" if resource.namespaced else ""
    yield resource.path(namespace), [v for v in _ON_COLLECTION if v in kind.verbs], None
    if namespace and "list" in kind.verbs:
        yield resource.path(), ["list"], None
    yield resource.path(namespace, "{name}"), [v for v in _ON_OBJECT if v in kind.verbs], None
    for below in kind.subresources:
        verbs = [verb for verb in below.verbs if verb in _VERBS]
        yield resource.path(namespace, "{name}", below.name), verbs, below


class _Operation:
    """One verb at one path."""

    def __init__(
        self,
        kind: kind_module.Kind,
        verb: str,
        below: kind_module.Subresource | None,
        path: str,
        dialect: definitions.Dialect,
        words: explanations.Words,
    ) -> None:
        self._kind, self._verb, self._below = kind, verb, below
        self._path, self._dialect, self._words = path, dialect, words

    def render(self) -> _Render:
        resource = self._kind.resource
        group = resource.group.partition(".")[0] or "core"
        return {
            "operationId": self._id(group),
            "tags": [f"{group}_{resource.version}"],
            "parameters": [*self._query(), *self._body_v2()],
            **self._body_v3(),
            **self._media_v2(),
            "responses": self._responses(),
            "x-kubernetes-action": self._action,
            "x-kubernetes-group-version-kind": self._gvk(),
        }

    @property
    def _connects(self) -> bool:
        """It opens a tunnel, like `exec`: what it takes are parameters, and it gives no object."""
        return self._below is not None and self._below.struct not in schema.structs()

    @property
    def _action(self) -> str:
        return "connect" if self._connects else _VERBS[self._verb][1]

    def _gvk(self) -> dict[str, str]:
        if self._below is None:
            return definitions.gvk_of(self._kind)
        below = self._below
        return definitions.gvk(below.group, below.version, schema.bare(below.struct))

    def _id(self, group: str) -> str:
        """`listCoreV1NamespacedPod`, `deleteCoreV1CollectionNode`, ...: unique, and often code."""
        resource = self._kind.resource
        within = "{namespace}" in self._path
        what = (
            "Collection" if self._verb == "deletecollection" else "",
            "Namespaced" if within else "",
            resource.kind,
            self._below.name.capitalize() if self._below else "",
            "" if within or not resource.namespaced else "ForAllNamespaces",
        )
        method, _, name = _VERBS[self._verb]
        called, more = ("connect", method.capitalize()) if self._connects else (name, "")
        head = f"{called}{group.capitalize()}{resource.version.capitalize()}{more}"
        return head + "".join(what)

    def _query(self) -> list[_Render]:
        is_log = self._below is not None and self._below.name == "log"
        which = "connect" if self._connects else "log" if is_log else self._verb
        fields = map(schema.parse_field, _QUERY[which].split())
        return [_parameter(field, "query", self._dialect, self._words) for field in fields]

    # What goes in. Version 2 has it among the parameters.

    @property
    def _takes_body(self) -> bool:
        return self._verb in _BODIES and not self._connects

    def _body(self) -> str:
        """The definition of the request's body."""
        if self._verb == "patch":
            return definitions.PATCH
        if self._verb.startswith("delete"):
            return definitions.name_of("DeleteOptions")
        return definitions.name_of(self._below.struct if self._below else self._kind.struct)

    def _body_v2(self) -> Iterator[_Render]:
        if self._dialect.version == 2 and self._takes_body:
            yield {
                "name": "body",
                "in": "body",
                "required": not self._verb.startswith("delete"),
                "schema": self._dialect.reference(self._body()),
            }

    def _body_v3(self) -> _Render:
        if self._dialect.version == 2 or not self._takes_body:
            return {}
        types = media.PATCHES if self._verb == "patch" else (media.JSON,)
        reference = self._dialect.reference(self._body())
        return {"requestBody": {"content": {each: {"schema": reference} for each in types}}}

    def _media_v2(self) -> _Render:
        if self._dialect.version == 3:
            return {}
        patches = {"consumes": list(media.PATCHES)} if self._verb == "patch" else {}
        return {"produces": [self._produces()], **patches}

    # What comes out.

    def _produces(self) -> str:
        is_log = self._below is not None and self._below.name == "log"
        return "text/plain" if is_log or self._connects else media.JSON

    def _answer(self) -> _Render:
        if self._produces() != media.JSON:
            return {"type": "string"}
        struct = self._below.struct if self._below else self._kind.struct
        if self._verb.startswith("delete") or struct == "Binding":
            return self._dialect.reference(definitions.name_of("Status"))
        suffix = "List" if self._verb == "list" else ""
        return self._dialect.reference(definitions.name_of(struct) + suffix)

    def _responses(self) -> _Render:
        answer = {"schema": self._answer()}
        content = answer if self._dialect.version == 2 else {"content": {self._produces(): answer}}
        codes = {
            "200": "OK",
            **({"201": "Created"} if self._verb in _STORES and self._takes_body else {}),
        }
        return {code: {"description": text, **content} for code, text in codes.items()}


def _path_parameters(
    path: str, dialect: definitions.Dialect, words: explanations.Words
) -> list[_Render]:
    return [
        _parameter(schema.parse_field(f"{name}!:string"), "path", dialect, words)
        for name in ("name", "namespace")
        if f"{{{name}}}" in path
    ]


def _parameter(
    field: schema.Field, place: str, dialect: definitions.Dialect, words: explanations.Words
) -> _Render:
    kind = {"bool": "boolean", "int32": "integer"}.get(field.type.name, "string")
    shape = {"type": kind} if dialect.version == 2 else {"schema": {"type": kind}}
    return {
        "name": field.name,
        "in": place,
        "description": words["Query"].fields[field.name].text,
        **({"required": True} if field.required else {}),
        **shape,
    }
