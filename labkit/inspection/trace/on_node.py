"""Runs on a node: hears, for some seconds, by which rules the kernel judges a few packets.

    python3 on_node.py arm NAME SECONDS RULE...     returns when it listens
    python3 on_node.py tell NAME PORT PROTOCOL      what was heard, as JSON; it ends with that

A rule with the target TRACE makes the kernel tell of each rule that a packet meets, and
`xtables-monitor --trace` prints that. The rules carry NAME in a comment, and are gone afterwards
whoever is killed: the listener takes them out when it ends; if it cannot, a second process does
that waits for nothing else; and whoever arms next takes out what even that one had to leave.

Only the standard library: this file is sent to the node as it stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

MARK = "labkit-trace"
FOLDER = Path("/run/labkit-trace")
#: The journal of the node's kube-proxy.
JOURNAL = "http://127.0.0.1:10249/debug/journal"
#: The beacon: a datagram to nobody on this machine itself. Who hears it, hears everything.
BEACON = ("127.0.0.1", 9)
BEACON_RULE = "-A OUTPUT -o lo -d 127.0.0.1/32 -p udp -m udp --sport {port} --dport 9 -j TRACE"
#: A moment and what was heard then, which may end in the middle of a line.
Heard = tuple[float, bytes]
#: How long the monitor may take to be heard, and how often the beacon is sent meanwhile.
DEAF_S, BEACON_S = 5.0, 0.02


def main(verb: str, name: str, *words: str) -> None:
    if verb == "arm":
        arm(name, float(words[0]), words[1:])
    else:
        tell(name, int(words[0]), words[1])


# --- the rules -----------------------------------------------------------------------------------


def save() -> list[str]:
    return run("iptables-save", "-t", "raw").splitlines()


def install(name: str, wanted: Sequence[str]) -> None:
    """All in one batch; first in each chain, so that no other rule decides before."""
    mark = f"-m comment --comment {MARK}:{name}"
    restore([f"{rule.replace('-A ', '-I ', 1)} {mark}" for rule in wanted])


def remove(name: str = "") -> None:
    """Take out the rules with the mark. The table stays, empty: iptables cannot take it away."""
    ours = [line for line in save() if line.startswith("-A ") and f"{MARK}:{name}" in line]
    if ours:
        restore([line.replace("-A ", "-D ", 1) for line in ours])


def restore(lines: Sequence[str]) -> None:
    text = "\n".join(["*raw", *lines, "COMMIT", ""])
    run("iptables-restore", "-w", "--noflush", stdin=text)


def run(*argv: str, stdin: str = "") -> str:
    """Raises OSError with what the program said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{shlex.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


# --- listening -----------------------------------------------------------------------------------


def arm(name: str, seconds: float, wanted: Sequence[str]) -> None:
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    hear, say = os.pipe()
    if os.fork() == 0:
        os.close(hear)
        os.setsid()
        become_quiet()
        guard(name, seconds, wanted, say)
        os._exit(0)
    os.close(say)
    with os.fdopen(hear) as answer:
        said = answer.read()
    if said != "ready":
        sys.exit(said or "the listener ended before it was ready")


def become_quiet() -> None:
    """Let go of the SSH session: it ends when nobody holds its streams any more."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def guard(name: str, seconds: float, wanted: Sequence[str], say: int) -> None:
    """Start the listener, and clean up after it if it does not do so itself."""
    alive, hold = os.pipe()
    listener = os.fork()
    if listener == 0:
        os.close(alive)
        try:
            listen(name, seconds, wanted, say)
        except Exception as error:  # noqa: BLE001 - whatever it is, who armed has to be told
            with contextlib.suppress(OSError):
                os.write(say, str(error).encode())
        finally:
            with contextlib.suppress(OSError):
                remove(name)
            os._exit(0)
    os.close(hold)
    os.close(say)
    select.select([alive], [], [], seconds + DEAF_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(listener, signal.SIGKILL)
    os.waitpid(listener, 0)
    with contextlib.suppress(OSError):
        remove(name)
    with contextlib.suppress(OSError):
        path_of(name).unlink()


def path_of(name: str) -> Path:
    return FOLDER / name


def listen(name: str, seconds: float, wanted: Sequence[str], say: int) -> None:
    """Hear until somebody asks what was heard, or until time is up."""
    remove()
    beacon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    beacon.bind(("127.0.0.1", 0))
    own = BEACON_RULE.format(port=beacon.getsockname()[1])
    install(name, [own, *wanted])
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path_of(name)))
    server.listen(1)
    # `timeout` ends it also where this process cannot.
    argv = ["timeout", f"{seconds:g}", "xtables-monitor", "--trace"]
    monitor = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    stream = monitor.stdout
    assert stream is not None
    try:
        heard = await_beacon(stream, beacon)
        os.write(say, b"ready")
        os.close(say)
        asker = collect(stream, server, heard, time.monotonic() + seconds)
    finally:
        monitor.terminate()
        rest = stream.read()
        monitor.wait()
    heard.append((time.time(), rest))
    remove(name)
    if asker:
        with asker:
            asker.sendall(json.dumps(lines_of(heard)).encode())


def await_beacon(stream: IO[bytes], beacon: socket.socket) -> list[Heard]:
    deadline = time.monotonic() + DEAF_S
    while time.monotonic() < deadline:
        beacon.sendto(b"?", BEACON)
        if select.select([stream], [], [], BEACON_S)[0]:
            said = os.read(stream.fileno(), 65536)
            if b"DPORT=9 " in said:
                return [(time.time(), said)]
            raise OSError(f"xtables-monitor: {said.decode(errors='replace').strip() or 'ended'}")
    raise OSError("xtables-monitor hears nothing: is this iptables' nf_tables variant?")


def collect(
    stream: IO[bytes], server: socket.socket, heard: list[Heard], deadline: float
) -> socket.socket | None:
    """Note each piece with its time; return the connection of who asks, None if nobody did."""
    while (left := deadline - time.monotonic()) > 0:
        ready = select.select([stream.fileno(), server.fileno()], [], [], left)[0]
        if server.fileno() in ready:
            return server.accept()[0]
        if ready:
            said = os.read(stream.fileno(), 65536)
            if not said:
                return None
            heard.append((time.time(), said))
    return None


def lines_of(heard: Sequence[Heard]) -> list[tuple[float, str]]:
    """Whole lines, each with the time at which its end was heard."""
    found: list[tuple[float, str]] = []
    partial = b""
    for when, said in heard:
        *whole, partial = (partial + said).split(b"\n")
        found += [(when, line.decode(errors="replace")) for line in whole]
    return found


# --- telling -------------------------------------------------------------------------------------


def tell(name: str, port: int, protocol: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(DEAF_S)
        listener.connect(str(path_of(name)))
        said = b"".join(iter(lambda: listener.recv(65536), b""))
    told = {"heard": json.loads(said or b"[]"), "journal": journal(), "now": time.time()}
    told["conntrack"] = conntrack(port, protocol)
    json.dump(told, sys.stdout)


def journal() -> Any:
    try:
        with urllib.request.urlopen(JOURNAL, timeout=2) as answer:
            return json.load(answer)["records"]
    except OSError as error:
        return str(error)


def conntrack(port: int, protocol: str) -> list[str]:
    try:
        return run("conntrack", "-L", "-p", protocol, "--orig-port-src", str(port)).splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main(*sys.argv[1:])
