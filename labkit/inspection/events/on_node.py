"""Runs on a node: tells, a line each, of rules that change and of what kube-proxy carries.

    python3 on_node.py        until its stdin ends

    {"ready": true}                                      now everything is heard
    {"when": 17.., "by": "iptables-restor", "added": [["nat", "-A ..."]], "removed": []}
    {"when": 17.., "journal": {"event": "began", "record": {...}}}

Whoever changes the kernel's rules, the kernel announces it with the name of the program, cut to
15 letters; what is different, two looks say. iptables-legacy announces nothing, so where its rules
are in use there is a look every few seconds, too.

Only the standard library: this file is sent to the node as it stands.
"""

from __future__ import annotations

import collections
import json
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, nf_tables.h: who tells, the group that hears of
# rules, the message that ends a change, and the attribute that names the program.
NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
NEWGEN = 10 << 8 | 15
NFTA_GEN_PROC_NAME = 3
#: Length, type, flags, sequence number and sender of a message; after it, four bytes of nfgenmsg.
HEADER = struct.Struct("=IHHII")
NFGENMSG = 4
#: Where iptables-legacy notes which of its tables are in use.
LEGACY = Path("/proc/net/ip_tables_names")
#: The journal of the node's kube-proxy: a stream for whoever asks to watch.
JOURNAL = ("127.0.0.1", 10249)
ASK = b"GET /debug/journal?watch=true HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#: A proxy that was not there, or legacy rules, are looked for again after so long.
AGAIN_S = 1.0

Rules = collections.Counter[tuple[str, str]]


def main() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        kernel.setblocking(False)  # noqa: FBT003
        rules, journal = look(), Journal()
        tell(ready=True)
        while True:
            streams = [sys.stdin, kernel, *journal.streams]
            ready, _, _ = select.select(streams, [], [], AGAIN_S)
            if sys.stdin in ready:
                return
            if kernel in ready or is_legacy_used():
                by = who_changed(kernel)
                rules = tell_changes(rules, look(), by)
            journal.attend(ready)


def tell(**told: Any) -> None:
    sys.stdout.write(f"{json.dumps(told, separators=(',', ':'))}\n")
    sys.stdout.flush()


# --- rules ---------------------------------------------------------------------------------------


def look() -> Rules:
    """Every rule with its table, and how often it is there."""
    saved = ["iptables-save", *(["iptables-legacy-save"] if is_legacy_used() else [])]
    found: Rules = collections.Counter()
    for program in saved:
        table = ""
        text = subprocess.run([program], capture_output=True, text=True, check=False).stdout
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A "):
                found[table, line] += 1
    return found


def is_legacy_used() -> bool:
    try:
        return bool(LEGACY.read_text())
    except OSError:
        return False


def who_changed(kernel: socket.socket) -> str:
    """Read all that was announced; the last program that changed something."""
    by = ""
    try:
        while True:
            by = parse_program(kernel.recv(1 << 16)) or by
    except BlockingIOError:
        return by
    except OSError:  # more came than it could hold: what changed is seen all the same
        return by


def parse_program(data: bytes) -> str:
    """The name that the message at the end of a change gives; empty where there is none."""
    name = ""
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        if kind == NEWGEN:
            name = attributes(data[HEADER.size + NFGENMSG : length]).get(NFTA_GEN_PROC_NAME, "")
        data = data[max(length, HEADER.size) + 3 & ~3 :]
    return name


def attributes(data: bytes) -> dict[int, str]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length].rstrip(b"\0").decode(errors="replace")
        data = data[max(length, 4) + 3 & ~3 :]
    return found


def tell_changes(before: Rules, after: Rules, by: str) -> Rules:
    added, removed = list((after - before).elements()), list((before - after).elements())
    if added or removed:
        tell(when=time.time(), by=by, added=added, removed=removed)
    return after


# --- the journal ---------------------------------------------------------------------------------


class Journal:
    """A stream from kube-proxy, taken up again when there is a new one."""

    def __init__(self) -> None:
        self.streams: list[socket.socket] = []
        self._partial = b""
        self._ask()

    def attend(self, ready: list[Any]) -> None:
        if not self.streams:
            self._ask()
        elif self.streams[0] in ready:
            self._read(self.streams[0])

    def _ask(self) -> None:
        try:
            stream = socket.create_connection(JOURNAL, timeout=AGAIN_S)
            stream.sendall(ASK)
        except OSError:
            return
        self.streams, self._partial = [stream], b""

    def _read(self, stream: socket.socket) -> None:
        try:
            data = stream.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            stream.close()
            self.streams = []
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            # A chunk's length and the answer's head stand in lines of their own, without a brace.
            if line.startswith(b"{"):
                self._pass_on(json.loads(line))

    def _pass_on(self, event: Any) -> None:
        """All but the first line, which has what was before."""
        if event["event"] != "snapshot":
            tell(when=time.time(), journal=event)


if __name__ == "__main__":
    main()
