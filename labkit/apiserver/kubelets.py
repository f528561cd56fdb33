"""The way from the API server to the nodes: what is asked of the kubelet on port 10250.

    kubectl ── GET …/pods/app1-1/log ──▶ API server ── GET /containerLogs/… ──▶ kubelet, port 10250

Each shows the other a certificate: the kubelet answers nobody but the API server, and the server
asks nobody but the node that it means.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.parse
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import h11

from labkit import errors
from labkit.apiserver import status, store
from labkit.apiserver.call import Call
from labkit.apiserver.kinds import pod_rules
from labkit.model import kubelet, resources

#: A node that has not agreed after this counts as unreachable.
PATIENCE_S = 10.0
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A pod or a container of it, and its kubelet; `port` is 0 for a pod that has no node yet."""

    namespace: str
    pod: str
    container: str
    host: str = ""
    port: int = 0

    def target(self, verb: str, query: str) -> str:
        """What to ask the kubelet for: `/exec/default/app1-1/echo?command=ls`."""
        names = filter(None, (self.namespace, self.pod, self.container))
        path = "/".join((verb, *map(urllib.parse.quote, names)))
        return f"/{path}?{query}" if query else f"/{path}"


@dataclass(frozen=True, slots=True)
class Switched:
    """A connection on which the kubelet has agreed to something else than HTTP."""

    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Kubelets:
    """`tls` holds what the server shows to kubelets; without it, none would answer."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls

    async def fetch(self, place: Place, target: str) -> AsyncGenerator[bytes]:
        """An empty piece when the kubelet has agreed, then its answer. Raises ApiError."""
        talk, writer = None, None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await self._dial(place)
                talk = Talk(reader)
                writer.write(talk.ask(f"{place.host}:{place.port}", target))
                await talk.agree()
            yield b""
            while piece := await talk.next_piece():
                yield piece
        except (OSError, h11.ProtocolError) as error:
            raise _unreachable(place, target, error) from error
        finally:
            if writer is not None:
                writer.close()

    async def switch(
        self, place: Place, method: str, target: str, headers: Mapping[str, str]
    ) -> Switched:
        """Ask for another protocol. Raises ApiError, and Refused with the kubelet's own words."""
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await self._dial(place)
                talk = Talk(reader)
                writer.write(talk.ask(f"{place.host}:{place.port}", target, method, headers))
                return Switched(await talk.switch(), reader, writer)
        except BaseException as error:
            if writer is not None:
                writer.close()
            if isinstance(error, (OSError, h11.ProtocolError)):
                raise _unreachable(place, target, error) from error
            raise

    async def _dial(self, place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._tls is None:
            raise status.internal(
                "--kubelet-client-certificate is not set: no kubelet would answer"
            )
        return await asyncio.open_connection(place.host, place.port, ssl=self._tls)


class Refused(Exception):
    """What a kubelet says instead of switching: passed on as it is."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Talk:
    """One request to a kubelet, and its answer."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._reader = reader

    def ask(
        self, host: str, target: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the request, to be sent."""
        fields = [("Host", host), *(headers or {}).items()]
        asked = h11.Request(method=method, target=target, headers=fields)
        return (self._http.send(asked) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    async def agree(self) -> None:
        """Read the answer's head. Raises ApiError for a refusal."""
        head = await self._next()
        assert isinstance(head, h11.Response)
        if head.status_code != 200:
            raise refusal(head.status_code, await self._read_text())

    async def switch(self) -> bytes:
        """Read the agreement; return it with what has come after it. Raises Refused."""
        head = await self._next()
        assert isinstance(head, (h11.InformationalResponse, h11.Response))
        if head.status_code != 101:
            raise Refused(head.status_code, await self._read_text())
        lines = [b"%b: %b" % (name, value) for name, value in head.headers.raw_items()]
        text = b"\r\n".join((b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""))
        return text + self._http.trailing_data[0]

    async def next_piece(self) -> bytes:
        """Empty at the end. Raises RemoteProtocolError where the answer is cut off."""
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _read_text(self) -> str:
        body = b""
        while len(body) < _PIECE and (piece := await self.next_piece()):
            body += piece
        return body.decode(errors="replace").strip()

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        assert event is not h11.NEED_DATA
        return event  # type: ignore[return-value]


def find_place(objects: store.Store, call: Call, *, whole_pod: bool = False) -> Place:
    """Which container a request about a pod means, and where it is. Raises ApiError."""
    name = call.info.name
    found = objects.get(call.kind.resource, call.namespace, name)
    if found is None:
        raise status.not_found(call.kind.resource, name)
    wanted = call.query.get("container", "")
    container = "" if whole_pod else choose_container(found.object, wanted)
    node = found.object["spec"].get("nodeName", "")
    if not node:
        return Place(call.namespace, name, container)
    return Place(call.namespace, name, container, *address_of(objects, node))


def choose_container(pod: resources.Object, wanted: str) -> str:
    """The container that is meant; without a name, the only one. Raises ApiError 400."""
    name = pod["metadata"]["name"]
    known = [container["name"] for _, container in pod_rules.containers(pod["spec"])]
    if wanted and wanted not in known:
        raise status.bad_request(f"container {wanted} is not valid for pod {name}")
    main = [container["name"] for container in pod["spec"]["containers"]]
    if not wanted and len(main) > 1:
        raise status.bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
        )
    return wanted or main[0]


def address_of(objects: store.Store, name: str) -> tuple[str, int]:
    """Where a node's kubelet listens, as the node itself says. Raises ApiError."""
    found = objects.get(resources.NODES, "", name)
    if found is None:
        raise status.not_found(resources.NODES, name)
    state = found.object.get("status", {})
    addresses = {each["type"]: each["address"] for each in state.get("addresses") or ()}
    if "InternalIP" not in addresses:
        raise status.internal(f"no preferred addresses found; known addresses: {addresses}")
    endpoint = (state.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return addresses["InternalIP"], int(endpoint.get("Port") or kubelet.PORT)


def refusal(code: int, message: str) -> errors.ApiError:
    """What a kubelet has refused, as the server says it."""
    if code == 400:
        return status.bad_request(message)
    if code == 404:
        return status.failure(404, "NotFound", message, {})
    return status.internal(message)


def _unreachable(place: Place, target: str, error: Exception) -> errors.ApiError:
    return status.internal(f'Get "https://{place.host}:{place.port}{target}": {_why(error)}')


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error)
