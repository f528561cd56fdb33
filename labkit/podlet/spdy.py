"""SPDY/3.1, the server's side of it, without a socket: streams within one connection.

What HTTP/2 was made from; nobody speaks it any more but `kubectl port-forward`, which sends it
inside WebSocket's messages. Control frames open a stream (SYN_STREAM), agree to it (SYN_REPLY) or
break it off (RST_STREAM); data frames carry its bytes, and one flag ends them.

    1 version:15 type:16  flags:8 length:24  ...          0 stream:31  flags:8 length:24  bytes

Headers are compressed, all of a connection by one compressor that knows beforehand which words
will come: the dictionary below is the protocol's own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN = 1
_CONTROL = 0x8003 << 16
_HEAD = struct.Struct(">IBBH")
#: No header of a port-forward is as long as this, compressed or not.
_HEADERS_MAX = 64 * 1024
_CANCEL = 5

_WORDS = """options head post put delete trace accept accept-charset accept-encoding
accept-language accept-ranges age allow authorization cache-control connection content-base
content-encoding content-language content-length content-location content-md5 content-range
content-type date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified location max-forwards pragma proxy-authenticate
proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public
set-cookie keep-alive origin"""
_REST = (
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045"
    "05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 "
    "Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,"
    "sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _text(word: str) -> bytes:
    return struct.pack(">I", len(word)) + word.encode()


DICTIONARY = b"".join(_text(word.replace("_", " ")) for word in _WORDS.split()) + _REST.encode()


class ProtocolError(Exception):
    """What came is not SPDY, and nothing after it can be understood."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client has opened a stream; it waits for a reply."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream, perhaps its last."""

    stream: int
    payload: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The client has no more use for a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there? `render_ping` says yes."""

    number: int


Event = Opened | Data | Reset | Ping


class Connection:
    """Both directions of one connection: each has its own state of compression."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._decompress = zlib.decompressobj(zdict=DICTIONARY)
        self._compress = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what has happened by now. Raises ProtocolError."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            first, flags, high, low = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + (high << 16 | low)
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            if not first >> 31:
                yield Data(first, payload, bool(flags & _FIN))
            elif first >> 16 != _CONTROL >> 16:
                raise ProtocolError("this is not SPDY/3")
            else:
                yield from self._control(first & 0xFFFF, payload)

    def render_reply(self, stream: int) -> bytes:
        """Agree to a stream; no headers go with it."""
        block = self._compress.compress(bytes(4)) + self._compress.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, struct.pack(">I", stream) + block)

    def _control(self, kind: int, payload: bytes) -> Iterator[Event]:
        """Frames that only concern windows and settings say nothing that matters here."""
        number = int.from_bytes(payload[:4], "big")
        if kind == _SYN_STREAM:
            yield Opened(number & 0x7FFFFFFF, self._read_headers(payload[10:]))
        elif kind == _RST_STREAM:
            yield Reset(number & 0x7FFFFFFF)
        elif kind == _PING:
            yield Ping(number)

    def _read_headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._decompress.decompress(block, _HEADERS_MAX)
            words = list(_words(plain))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"the headers cannot be read: {error}") from error
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}


def _words(plain: bytes) -> Iterator[str]:
    """The names and values of a header block in turn."""
    (count,) = struct.unpack_from(">I", plain)
    at = 4
    for _ in range(2 * count):
        (size,) = struct.unpack_from(">I", plain, at)
        at += 4 + size
        if at > len(plain):
            raise struct.error("a word is longer than all of it")
        yield plain[at - size : at].decode()


def render_data(stream: int, payload: bytes, *, is_last: bool = False) -> bytes:
    size = len(payload)
    head = _HEAD.pack(stream, _FIN if is_last else 0, size >> 16, size & 0xFFFF)
    return head + payload


def render_reset(stream: int) -> bytes:
    return _control(_RST_STREAM, struct.pack(">II", stream, _CANCEL))


def render_ping(number: int) -> bytes:
    return _control(_PING, struct.pack(">I", number))


def _control(kind: int, payload: bytes) -> bytes:
    return _HEAD.pack(_CONTROL | kind, 0, len(payload) >> 16, len(payload) & 0xFFFF) + payload
