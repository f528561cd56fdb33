"""`kubectl logs`: a log is not in the store, it is on the node where the pod runs.

    kubectl ── GET …/pods/app1-1/log ──▶ API server ── GET /containerLogs/… ──▶ kubelet, port 10250

The server checks what is asked, finds the node and passes on what its kubelet says, as it comes.
Each shows the other a certificate: the kubelet answers nobody but the API server, and the server
asks nobody but the node that it means.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.parse
from collections.abc import AsyncGenerator, Mapping

import h11

from labkit import errors
from labkit.apiserver import request_info, status, store
from labkit.apiserver.call import Call, Stream
from labkit.apiserver.kinds import pod_rules
from labkit.apiserver.status import Cause
from labkit.model import kubelet, resources

#: A node that has not agreed after this counts as unreachable.
PATIENCE_S = 10.0
_TEXT = "text/plain"
_PIECE = 64 * 1024
_OPTIONS = resources.Resource("PodLogOptions", "pods/log")
#: What is passed on to the kubelet.
_FLAGS = ("follow", "previous", "timestamps")
_LOWEST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


class Kubelets:
    """The way to the nodes. `tls` holds what the server shows them; without it, it has no way."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls

    async def read_log(self, objects: store.Store, call: Call) -> Stream:
        """Raises ApiError, in kube-apiserver's words or in the kubelet's."""
        name = call.info.name
        options = parse_options(name, call.query)
        found = objects.get(call.kind.resource, call.namespace, name)
        if found is None:
            raise status.not_found(call.kind.resource, name)
        container = choose_container(found.object, call.query.get("container", ""))
        node = found.object["spec"].get("nodeName", "")
        if not node:
            return Stream(_nothing(), _TEXT)  # as kube-apiserver: nothing has been said yet
        path = "/".join(map(urllib.parse.quote, (call.namespace, name, container)))
        query = urllib.parse.urlencode(options)
        pieces = self._fetch(
            *_address(objects, node), f"/containerLogs/{path}" + (f"?{query}" if query else "")
        )
        # The first piece comes when the kubelet has agreed: until then all can still be refused.
        await anext(pieces)
        return Stream(pieces, _TEXT)

    async def _fetch(self, host: str, port: int, target: str) -> AsyncGenerator[bytes]:
        """An empty piece, then the log. Raises ApiError before the first."""
        if self._tls is None:
            raise status.internal(
                "--kubelet-client-certificate is not set: no kubelet would answer"
            )
        url = f"https://{host}:{port}{target}"
        writer = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(host, port, ssl=self._tls)
                talk = Talk(reader)
                writer.write(talk.ask(f"{host}:{port}", target))
                await talk.agree()
            yield b""
            while piece := await talk.next_piece():
                yield piece
        except (OSError, h11.ProtocolError) as error:
            raise status.internal(f'Get "{url}": {_why(error)}') from error
        finally:
            if writer is not None:
                writer.close()


class Talk:
    """One request to a kubelet, and its answer."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._reader = reader

    def ask(self, host: str, target: str) -> bytes:
        """Return the request, to be sent."""
        asked = h11.Request(method="GET", target=target, headers=[("Host", host)])
        return (self._http.send(asked) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    async def agree(self) -> None:
        """Read the answer's head. Raises ApiError for a refusal."""
        head = await self._next()
        assert isinstance(head, h11.Response)
        if head.status_code == 200:
            return
        body = b""
        while len(body) < _PIECE and (piece := await self.next_piece()):
            body += piece
        raise refusal(head.status_code, body.decode(errors="replace").strip())

    async def next_piece(self) -> bytes:
        """Empty at the end. Raises RemoteProtocolError where the answer is cut off."""
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        assert event is not h11.NEED_DATA
        return event  # type: ignore[return-value]


def parse_options(name: str, query: Mapping[str, str]) -> dict[str, str]:
    """What the kubelet is to be asked. Raises ApiError 400 and 422."""
    options = {flag: "true" for flag in _FLAGS if request_info.is_true(query.get(flag))}
    causes = []
    for parameter, lowest in _LOWEST.items():
        if parameter in query:
            value = _integer(parameter, query[parameter])
            options[parameter] = str(value)
            if value < lowest:
                must = "greater than or equal to 0" if lowest == 0 else "greater than 0"
                message = f"Invalid value: {value}: must be {must}"
                causes.append(Cause("FieldValueInvalid", message, parameter))
    if "sinceTime" in query:
        options["sinceTime"] = query["sinceTime"]
        if "sinceSeconds" in query:
            message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            causes.append(Cause("FieldValueForbidden", message, "sinceSeconds"))
    if causes:
        raise status.invalid(_OPTIONS, name, causes)
    return options


def _integer(parameter: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise status.bad_request(
            f'strconv.ParseInt: parsing "{text}": invalid syntax in {parameter}'
        ) from None


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


def refusal(code: int, message: str) -> errors.ApiError:
    """What a kubelet has refused, as the server says it."""
    if code == 400:
        return status.bad_request(message)
    if code == 404:
        return status.failure(404, "NotFound", message, {})
    return status.internal(message)


def _address(objects: store.Store, name: str) -> tuple[str, int]:
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


async def _nothing() -> AsyncGenerator[bytes]:
    yield b""


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error)
