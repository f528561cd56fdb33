"""Runs on a node: hears, for some seconds, by which rules the kernel judges a few packets.

    python3 on_node.py NAME SECONDS RULE...

It says so when it listens; asked `PORT PROTOCOL` on its stdin, it says what it heard, and what
conntrack and kube-proxy's journal know: each in one line of JSON. It ends then, when its stdin
does, or when the time is up.

A rule with the target TRACE makes the kernel tell of each rule that a packet meets, and
`xtables-monitor --trace` prints that. The rules carry NAME in a comment, and are gone afterwards
whoever is killed: the listener takes them out when it ends; if it cannot, a second process does
that waits for nothing else; and whoever listens next takes out what even that one had to leave.

Only the standard library, and of that what loads fast: this file is sent to the node as it stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MARK = "labkit-trace"
# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, nf_tables.h: whom to ask, and for what.
NETLINK_NETFILTER = 12
NFTABLES = 10
BATCH_BEGIN, BATCH_END = 16, 17
DELTABLE, DELCHAIN = NFTABLES << 8 | 2, NFTABLES << 8 | 5
REQUEST, NONREC = 0x1, 0x100
#: Where the journal of the node's kube-proxy is, and how long it may take.
JOURNAL, JOURNAL_S = ("127.0.0.1", 10249), 2.0
ASK = b"GET /debug/journal HTTP/1.0\r\n\r\n"
#: The beacon: a datagram to nobody on this machine itself, at one port before and at another after.
#: Who hears the first hears everything; who hears the second has heard everything.
BEGIN, END = 9, 10
BEACON_RULE = "-A OUTPUT -o lo -d 127.0.0.1/32 -p udp -m udp --sport {port} --dport 9:10 -j TRACE"
#: A moment and what was heard then, which may end in the middle of a line.
Heard = tuple[float, bytes]
#: How long the monitor may take to be heard, how soon the beacon is sent for a second time, and by
#: how much each pause is longer than the one before: of each beacon the kernel tells a page, and a
#: monitor on a slow machine ends when more lies ready for it than the kernel keeps.
DEAF_S, BEACON_S, LONGER = 10.0, 0.005, 1.3


def main(name: str, seconds: str, *wanted: str) -> None:
    with guarded(name, float(seconds)), socket.socket(type=socket.SOCK_DGRAM) as beacon:
        beacon.bind(("127.0.0.1", 0))
        own = BEACON_RULE.format(port=beacon.getsockname()[1])
        with rules(name, [own, *wanted]), monitor(float(seconds)) as stream:
            hear_beacon(stream, beacon, BEGIN)
            say(listening=True)
            heard = listen(stream, time.monotonic() + float(seconds))
            if asked := sys.stdin.readline().split():
                now = time.time()
                heard += hear_beacon(stream, beacon, END)
                tell(now, heard, *asked)


def say(**told: Any) -> None:
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


# --- the rules -----------------------------------------------------------------------------------


@contextlib.contextmanager
def rules(name: str, wanted: Sequence[str]) -> Iterator[None]:
    """First in each chain, so that no other rule decides before; all in one batch."""
    mark = f"-m comment --comment {MARK}:{name}"
    ours = [f"{rule} {mark}" for rule in wanted]
    restore([*stale(), *(rule.replace("-A ", "-I ", 1) for rule in ours)])
    try:
        yield
    finally:
        try:
            remove([rule.replace("-A ", "-D ", 1) for rule in ours])
        except OSError:  # somebody took some of them out meanwhile
            remove(stale(name))


def stale(name: str = "") -> list[str]:
    """What takes out rules with the mark."""
    saved = run("iptables-save", "-t", "raw").splitlines()
    ours = [line for line in saved if line.startswith("-A ") and f"{MARK}:{name}" in line]
    return [line.replace("-A ", "-D ", 1) for line in ours]


def restore(lines: Iterable[str]) -> None:
    if batch := list(lines):
        text = "\n".join(["*raw", *batch, "COMMIT", ""])
        run("iptables-restore", "-w", "--noflush", stdin=text)


def remove(lines: Sequence[str]) -> None:
    """Take out rules; then their chains and the table, if nothing else is there.

    iptables makes a table, and cannot take one away. The kernel does all of it or nothing, and
    refuses (NONREC) where there is still a rule or another chain.
    """
    restore(lines)
    table, chains = attribute(1, "raw"), {line.split()[1] for line in lines}
    batch = [
        message(BATCH_BEGIN, b"", family=0, subsystem=NFTABLES),
        *(message(DELCHAIN, table + attribute(3, chain)) for chain in chains),
        message(DELTABLE, table),
        message(BATCH_END, b"", family=0, subsystem=NFTABLES),
    ]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.send(b"".join(batch))


def message(kind: int, body: bytes, family: int = socket.AF_INET, subsystem: int = 0) -> bytes:
    head = struct.pack("=BBH", family, 0, socket.htons(subsystem))
    length = 16 + len(head) + len(body)
    return struct.pack("=IHHII", length, kind, REQUEST | NONREC, 0, 0) + head + body


def attribute(kind: int, text: str) -> bytes:
    data = struct.pack("=HH", 4 + len(text) + 1, kind) + text.encode() + b"\0"
    return data + bytes(-len(data) % 4)


def run(*argv: str, stdin: str = "") -> str:
    """Raises OSError with what the program said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


@contextlib.contextmanager
def guarded(name: str, seconds: float) -> Iterator[None]:
    """A second process that takes the rules out if this one does not live to do it."""
    alive, hold = os.pipe()
    if os.fork() == 0:
        os.close(hold)
        os.setsid()
        let_go()
        guard(name, alive, seconds)
        os._exit(0)
    os.close(alive)
    yield
    os.write(hold, b"!")


def let_go() -> None:
    """Of the SSH session: it ends when nobody holds its streams any more."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def guard(name: str, alive: int, seconds: float) -> None:
    ended, _, _ = select.select([alive], [], [], seconds + DEAF_S)
    if not ended or not os.read(alive, 1):
        with contextlib.suppress(OSError):
            remove(stale(name))


# --- listening -----------------------------------------------------------------------------------


@contextlib.contextmanager
def monitor(seconds: float) -> Iterator[int]:
    """What it prints. `timeout` ends it also where this process cannot."""
    argv = ["timeout", f"{seconds:g}", "xtables-monitor", "--trace"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        assert program.stdout is not None
        try:
            yield program.stdout.fileno()
        finally:
            program.terminate()


def hear_beacon(stream: int, beacon: socket.socket, port: int) -> list[Heard]:
    """What was heard until the beacon was: all of it, since the kernel tells in order."""
    heard: list[Heard] = []
    deadline, pause = time.monotonic() + DEAF_S, BEACON_S
    while time.monotonic() < deadline:
        beacon.sendto(b"?", ("127.0.0.1", port))
        while select.select([stream], [], [], pause)[0]:
            said = os.read(stream, 1 << 16)
            heard.append((time.time(), said))
            if b" DPORT=%d " % port in said:
                return heard
            if not said:
                last = b"".join(said for _, said in heard).decode(errors="replace").strip()
                raise OSError(f"xtables-monitor: {last or 'it ended'}")
        pause *= LONGER
    raise OSError("xtables-monitor hears nothing: is this iptables' nf_tables variant?")


def listen(stream: int, deadline: float) -> list[Heard]:
    """Note each piece with its time, until somebody asks on stdin, or lets go of it."""
    heard: list[Heard] = []
    while (left := deadline - time.monotonic()) > 0:
        ready = select.select([stream, sys.stdin], [], [], left)[0]
        if stream in ready and (said := os.read(stream, 1 << 16)):
            heard.append((time.time(), said))
        elif ready:
            break
    return heard


def lines_of(heard: Sequence[Heard]) -> list[tuple[float, str]]:
    """Whole lines, each with the time at which its end was heard."""
    found: list[tuple[float, str]] = []
    partial = b""
    for when, said in heard:
        *whole, partial = (partial + said).split(b"\n")
        found += [(when, line.decode(errors="replace")) for line in whole]
    return found


# --- telling -------------------------------------------------------------------------------------


def tell(now: float, heard: Sequence[Heard], port: str, protocol: str) -> None:
    """`now` is when it was asked, by this machine's clock."""
    say(now=now, heard=lines_of(heard), journal=journal(port), conntrack=tracked(port, protocol))


def journal(port: str) -> Any:
    """The records of who asked from that port, or in a text why there are none."""
    try:
        with socket.create_connection(JOURNAL, timeout=JOURNAL_S) as asked:
            asked.sendall(ASK)
            answer = b"".join(iter(lambda: asked.recv(1 << 16), b""))
    except OSError as error:
        return str(error)
    records = json.loads(answer.partition(b"\r\n\r\n")[2])["records"]
    return [one for one in records if one["client"].endswith(f":{port}")]


def tracked(port: str, protocol: str) -> list[str]:
    try:
        return run("conntrack", "-L", "-p", protocol, "--orig-port-src", port).splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        say(trouble=str(error))
