"""The kernel's own count of changes to its nf_tables rules, and its announcements of them.

Every table that somebody commits raises the *generation* of a network namespace's rules by one, and
is announced to those who listen. Asking for the number is one message there and one back: no
program, no parsing, however many rules there are. So whoever finds the number that his own change
left has nothing to read again.

iptables-legacy keeps its rules elsewhere, where nobody counts: see `labkit.agent.kernel` for how
that is noticed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable

from labkit.agent import loop as event_loop

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>
_NETLINK_NETFILTER = 12
_SUBSYSTEM_NFTABLES = 10
_GET_GENERATION, _NEW_GENERATION = 16, 15
_ATTRIBUTE_ID = 1
_GROUP_NFTABLES = 7
_NLM_F_REQUEST = 1
#: nlmsghdr (length, type, flags, sequence, port) and nfgenmsg (family, version, resource).
_HEADER = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
#: Ids are in network order, unlike all the rest.
_ID = struct.Struct("!I")
_REQUEST = _HEADER.pack(
    _HEADER.size, _SUBSYSTEM_NFTABLES << 8 | _GET_GENERATION, _NLM_F_REQUEST, 0, 0, 0, 0, 0
)
#: After a change, so long until it is looked at: changes come in swarms.
SETTLE_S = 0.1
#: Between two looks. Somebody who changes rules all the time must not keep us busy.
PAUSE_S = 1.0


def read() -> int | None:
    """The present generation; None where the kernel does not tell."""
    try:
        with _open() as sock:
            sock.send(_REQUEST)  # the kernel has answered when this returns
            return parse_generation(sock.recv(4096))
    except OSError:
        return None


class Watch:
    """Calls `look` soon after anybody, ourselves included, has changed rules."""

    def __init__(
        self,
        loop: event_loop.Loop,
        look: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._look = look
        self._clock = clock
        self._timer: event_loop.Timer | None = None
        self._not_before = 0.0
        self._announcements: socket.socket | None = None
        with contextlib.suppress(OSError):  # then the periodic sync has to do
            self._announcements = _open(groups=1 << _GROUP_NFTABLES - 1)
            loop.add(self._announcements.fileno(), select.EPOLLIN, self.hear)

    def hear(self, _events: int) -> None:
        if self._announcements:
            _drain(self._announcements)
        if self._timer is None:
            delay_s = max(SETTLE_S, self._not_before - self._clock())
            self._timer = self._loop.later(delay_s, self._due)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._announcements:
            self._loop.remove(self._announcements.fileno())
            self._announcements.close()

    def _due(self) -> None:
        self._timer = None
        self._not_before = self._clock() + PAUSE_S
        self._look()


def parse_generation(message: bytes) -> int | None:
    """The id in a netlink message about a generation; None for any other message."""
    if len(message) < _HEADER.size:
        return None
    length, kind, *_ = _HEADER.unpack_from(message)
    if kind != _SUBSYSTEM_NFTABLES << 8 | _NEW_GENERATION:
        return None
    at = _HEADER.size
    while at + _ATTRIBUTE.size + _ID.size <= min(length, len(message)):
        size, name = _ATTRIBUTE.unpack_from(message, at)
        if name == _ATTRIBUTE_ID:
            (found,) = _ID.unpack_from(message, at + _ATTRIBUTE.size)
            return int(found)
        at += max(size + 3 & ~3, _ATTRIBUTE.size)
    return None


def _drain(announcements: socket.socket) -> None:
    """Forget what was announced so far: whoever looks now sees it all."""
    # Empty; or so much came that the kernel gave up telling, which tells enough.
    with contextlib.suppress(OSError):
        while announcements.recv(65536):
            pass


def _open(groups: int = 0) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
    try:
        sock.bind((0, groups))
    except BaseException:
        sock.close()
        raise
    return sock
