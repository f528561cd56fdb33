"""Connections that stop being HTTP: `kubectl exec` asks for another protocol, and gets a tunnel.

    kubectl ──GET … Upgrade: websocket──▶ API server ──the same──▶ kubelet
            ◀──── 101 ──────────────────            ◀─── 101 ────
            ◀═══ bytes ═════════════════════════════════════════▶

The request is a request like any other up to its answer: who asks, may they, is there such a pod.
When the kubelet has agreed, the server takes the connection away from HTTP and passes bytes to and
fro. It does not understand them, so it need not change when the two ends learn something new.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http import h11_impl

_PIECE = 64 * 1024
#: In `scope["state"]`: what takes the connection away.
TAKE = "take_connection"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Upgradable(h11_impl.H11Protocol):
    """HTTP/1.1 as uvicorn has it, whose connection an application may take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, TAKE: self._take}

    def _should_upgrade(self) -> bool:
        """Not uvicorn's way, which is for an application that speaks WebSocket itself."""
        return False

    def _take(self) -> Streams:
        reader = asyncio.StreamReader(_PIECE, self.loop)
        protocol = _Taken(reader, self.connection_lost)
        early, _ = self.conn.trailing_data
        if early:
            reader.feed_data(early)
        self.flow.resume_reading()
        self.cycle.disconnected = True  # nothing more is said by HTTP
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        return reader, asyncio.StreamWriter(self.transport, protocol, reader, self.loop)


class _Taken(asyncio.StreamReaderProtocol):
    """Bytes instead of requests; the end of the connection is told to whom it belonged."""

    def __init__(
        self, reader: asyncio.StreamReader, lost: Callable[[Exception | None], None]
    ) -> None:
        super().__init__(reader)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost(exc)


class TunnelResponse(Response):
    """`head` as the answer, and after it whatever the two ends have to say to each other."""

    def __init__(self, head: bytes, far: Streams) -> None:
        super().__init__()
        self._head = head
        self._far = far

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        near = scope["state"][TAKE]()
        try:
            near[1].write(self._head)
            await relay(near, self._far)
        finally:
            for _, writer in (near, self._far):
                writer.close()


async def relay(near: Streams, far: Streams) -> None:
    """Pass bytes both ways until one of the ends has none left to say."""
    ways = [
        asyncio.ensure_future(_pass(near[0], far[1])),
        asyncio.ensure_future(_pass(far[0], near[1])),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
