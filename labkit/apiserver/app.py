"""The HTTP application: who asks, what for, may they, and then the verb.

    path -> RequestInfo -> authentication (401) -> authorisation (403) -> kind (404) -> verb

What is not about a resource (health, version, discovery, OpenAPI) is in `documents`.
Refusals come up as `errors.ApiError` and become a Status here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from labkit import errors
from labkit.apiserver import (
    authn,
    authz,
    compression,
    documents,
    kinds,
    kubelets,
    logs,
    media,
    reading,
    registry,
    remotecommand,
    request_info,
    status,
    streaming,
    writing,
)
from labkit.apiserver.call import Answer, Call, Stream, encode
from labkit.model import resources

logger = logging.getLogger(__name__)

#: As kube-apiserver's: nobody writes an object of 3 MiB by hand.
MAX_BODY_BYTES = 3 * 1024 * 1024
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
#: As kube-apiserver's: nobody in between may keep what one user was told.
_PRIVATE = {"cache-control": "no-cache, private"}

Verb = Callable[[registry.Registry, Call], Answer | Stream]


def _reading(verb: Callable[..., Answer | Stream]) -> Verb:
    return lambda objects, call: verb(objects.store, call)


_VERBS: Mapping[str, Verb] = {
    "get": _reading(reading.get),
    "list": _reading(reading.list_),
    "watch": _reading(streaming.watch),
    "create": writing.create,
    "update": writing.update,
    "patch": writing.patch_,
    "delete": writing.delete,
    "deletecollection": writing.delete_collection,
}


class Api:
    """The requests of all clients, against one registry."""

    def __init__(
        self,
        objects: registry.Registry,
        tokens: authn.Tokens,
        address: str,
        nodes: kubelets.Kubelets,
    ) -> None:
        """`address` is `host:port`, as discovery tells it."""
        self._objects = objects
        self._tokens = tokens
        self._address = address
        self._nodes = nodes

    async def endpoint(self, request: Request) -> Response:
        """Every path ends here."""
        try:
            return await self._respond(request)
        except errors.ApiError as error:
            return _refusal(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            logger.exception("%s %s", request.method, request.url.path)
            failure = status.internal(f"{type(error).__name__} in the API server; see its log")
            return _json(failure.body, failure.status)

    async def _respond(self, request: Request) -> Response:
        path, query = request.url.path, request.query_params
        info = request_info.parse_request(request.method, path, query)
        user = self._authenticate(request, path)
        self._authorize(user, info)
        encodings = request.headers.get("accept-encoding", "")
        if not info.plural:
            return _response(documents.find(_question(request, self._address)), encodings)
        call = Call(
            info,
            _find_kind(info),
            user,
            query,
            await _read_body(request),
            request.headers.get("content-type", ""),
            request.headers.get("accept", ""),
            request.headers.get("user-agent", ""),
        )
        if info.resource == "pods/log":
            return _response(await logs.read(self._nodes, self._objects.store, call), encodings)
        if info.resource in remotecommand.RESOURCES:
            return await remotecommand.join(
                self._nodes, self._objects.store, call, request.method, request.headers
            )
        return _response(_VERBS[info.verb](self._objects, call), encodings)

    def _authenticate(self, request: Request, path: str) -> authn.User:
        certificate = request.scope.get("state", {}).get("certificate_user")
        header = request.headers.get("authorization")
        user = authn.authenticate(header, certificate, self._tokens)
        if user is None or (user == authn.ANONYMOUS and not authz.is_public(path)):
            raise status.unauthorized()
        return user

    def _authorize(self, user: authn.User, info: request_info.RequestInfo) -> None:
        verdict = authz.authorize(user, info, self._objects.find_pod)
        if verdict.allowed:
            return
        if not info.plural:
            why = f"forbidden: {authz.explain_denial(user, info)}"
            raise status.failure(status.FORBIDDEN, "Forbidden", why, {})
        resource = resources.Resource("", info.plural, info.group)
        raise status.forbidden(resource, info.name, verdict.why or authz.explain_denial(user, info))


def _question(request: Request, address: str) -> documents.Question:
    """Raises ApiError 405: what the server tells of itself can only be read."""
    if request.method not in ("GET", "HEAD"):
        raise status.method_not_allowed()
    headers = request.headers
    return documents.Question(request.url.path, request.query_params, headers, address)


def _find_kind(info: request_info.RequestInfo) -> kinds.kind.Kind:
    """Raises ApiError 404 for an unknown kind or subresource, 405 for a verb that it lacks."""
    kind = kinds.find(info.group, info.version, info.plural)
    if kind is None:
        raise status.no_such_path()
    if not info.subresource:
        known = info.verb in kind.verbs and (info.name == "" or info.verb != "create")
        if not known or (not info.name and info.verb in ("update", "patch")):
            raise status.method_not_allowed()
        everywhere = kind.resource.namespaced and not info.namespace
        if everywhere and info.verb in ("create", "deletecollection"):
            raise status.method_not_allowed()
        return kind
    below = kind.subresource(info.subresource)
    if below is None:
        raise status.no_such_path()
    if info.verb not in below.verbs:
        raise status.method_not_allowed()
    return kind


async def _read_body(request: Request) -> bytes:
    """Raises ApiError 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise status.too_large(MAX_BODY_BYTES)
    return bytes(body)


def _json(obj: Mapping[str, object], code: int = 200) -> Response:
    return Response(encode(obj), code, _PRIVATE, media_type=media.JSON)


def _refusal(error: errors.ApiError) -> Response:
    """A Status; where it says when to come back, the header says so too."""
    response = _json(error.body, error.status)
    if after_s := (error.body.get("details") or {}).get("retryAfterSeconds"):
        response.headers["retry-after"] = str(after_s)
    return response


def _response(result: Answer | Stream, encodings: str) -> Response:
    """`encodings` is the request's Accept-Encoding."""
    if isinstance(result, Stream):
        return LineResponse(result)
    body, headers = result.body, list(result.headers)
    if "cache-control" not in dict(headers):
        headers += _PRIVATE.items()
    if "content-encoding" not in dict(headers) and compression.is_worth_it(body, encodings):
        body = compression.pack(body)
        headers += compression.HEADERS
    response = Response(body, result.code, media_type=result.media_type)
    for name, value in headers:
        response.headers.append(name, value)
    for warning in result.warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.append("warning", f'299 - "{quoted}"')
    return response


class LineResponse(Response):
    """A response that goes on until its lines end or the client goes away.

    Starlette's own StreamingResponse does this with anyio's task groups; two tasks of asyncio are
    enough, and spare the memory and start time of another event loop's adapter.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(media_type=stream.media_type)
        # The length is not known; without this header the body goes out in chunks.
        del self.headers["content-length"]
        self._lines = stream.lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send_lines(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_lines(self, send: Send) -> None:
        # An empty piece sends the header off at once: the client learns that its watch has begun.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def make_app(
    objects: registry.Registry,
    tokens: authn.Tokens,
    address: str,
    kubelet_tls: ssl.SSLContext | None = None,
) -> Starlette:
    api = Api(objects, tokens, address, kubelets.Kubelets(kubelet_tls))
    return Starlette(routes=[Route("/{path:path}", api.endpoint, methods=METHODS)])
