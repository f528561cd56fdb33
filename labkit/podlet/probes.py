"""Is a container alive, is it ready? One asks it, again and again, and counts.

    httpGet      GET answers with a status from 200 to 399
    tcpSocket    a connection is accepted
    exec         a command, run inside the container, ends with 0
    listen       the first TCP port is open: for containers that have no readinessProbe.
                 Nobody is asked for this; the kernel's own table in /proc says it.

A verdict changes only after `failureThreshold` failures, or `successThreshold` successes, in a row.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from labkit.model.resources import Object
from labkit.podlet import images, network, runtime, state

Kind = Literal["Readiness", "Liveness"]
Way = Literal["httpGet", "tcpSocket", "exec", "listen"]

_TCP_LISTEN = b"0A"
#: While a container is young its port is looked for often: somebody is waiting for it to open.
_EAGER_S = 0.005
#: The kernel walks all connections of the machine to write its table: milliseconds, so not often.
_STEADY_S = 10.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one container, with kubelet's defaults."""

    kind: Kind
    way: Way
    port: int = 0
    host: str = ""
    path: str = "/"
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    successes_needed: int = 1
    failures_allowed: int = 3

    @property
    def is_instant(self) -> bool:
        """True for what needs no waiting, and so no thread."""
        return self.way == "listen"


@dataclass(frozen=True, slots=True)
class Tally:
    """How a probe has gone: the results in a row, the verdict, and when it is due again."""

    due: float
    begun: float
    good: bool = False
    successes: int = 0
    failures: int = 0


def parse_probes(container: Object) -> tuple[Probe, ...]:
    """Read the container's probes; without one for readiness, its first TCP port stands in."""
    found = []
    if container.get("livenessProbe"):
        found.append(_parse("Liveness", container["livenessProbe"], container))
    if container.get("readinessProbe"):
        found.append(_parse("Readiness", container["readinessProbe"], container))
    else:
        ports = [number for number, protocol in images.ports_of(container) if protocol == "TCP"]
        if ports:
            found.append(Probe("Readiness", "listen", port=ports[0]))
    return tuple(found)


def begin(probe: Probe, started: float, *, ready: bool) -> Tally:
    """The tally of a container: alive until it is shown not to be, and as ready as it was found."""
    due = started + probe.initial_delay_s
    return Tally(due=due, begun=started, good=ready or probe.kind == "Liveness")


def count(probe: Probe, tally: Tally, *, success: bool, now: float) -> Tally:
    """The tally after one more result."""
    successes = tally.successes + 1 if success else 0
    failures = 0 if success else tally.failures + 1
    good = tally.good
    if successes >= probe.successes_needed:
        good = True
    elif failures >= probe.failures_allowed or probe.is_instant:
        good = False
    return dataclasses.replace(
        tally,
        due=now + _pause(probe, tally, now, good=good),
        good=good,
        successes=successes,
        failures=failures,
    )


def attempt(probe: Probe, address: str, run: state.Run, env: Mapping[str, str]) -> str:
    """Try once; return why it failed, in kubelet's words, or nothing."""
    try:
        match probe.way:
            case "httpGet":
                return _get(probe, probe.host or address)
            case "tcpSocket":
                target = (probe.host or address, probe.port)
                socket.create_connection(target, probe.timeout_s).close()
                return ""
            case "exec":
                return _run(probe, run, env)
            case "listen":
                return "" if is_listening(run, probe.port) else "nothing listens"
    except OSError as error:
        return f"{probe.host or address}:{probe.port}: {error.strerror or error}"


def is_listening(run: state.Run, port: int) -> bool:
    """Read from the kernel whether anything in the pod's network listens on the port."""
    if not network.is_elsewhere(run.pid):
        return False  # it has ended, or is still on its way into the pod's network
    folder = f"/proc/{run.pid}/net"
    return any(
        _has_sockets(f"{folder}/sockstat{suffix}", f"TCP{suffix}: inuse ".encode())
        and _has_listener(f"{folder}/tcp{suffix}", port)
        for suffix in ("", "6")
    )


def _parse(kind: Kind, spec: Object, container: Object) -> Probe:
    way: Way = next((way for way in ("httpGet", "tcpSocket", "exec") if spec.get(way)), "exec")
    how = spec.get(way) or {}
    headers = tuple((each["name"], each["value"]) for each in how.get("httpHeaders") or ())
    return Probe(
        kind,
        way,
        port=_port_number(how.get("port", 0), container),
        host=how.get("host") or "",
        path=how.get("path") or "/",
        scheme=how.get("scheme") or "HTTP",
        headers=headers,
        command=tuple(how.get("command") or ()),
        initial_delay_s=float(spec.get("initialDelaySeconds") or 0),
        period_s=float(spec.get("periodSeconds") or 10),
        timeout_s=float(spec.get("timeoutSeconds") or 1),
        successes_needed=int(spec.get("successThreshold") or 1),
        failures_allowed=int(spec.get("failureThreshold") or 3),
    )


def _port_number(port: int | str, container: Object) -> int:
    """A port by its number, or by its name among the container's; 0 for a name it does not have."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if port.isdigit() else 0


def _pause(probe: Probe, tally: Tally, now: float, *, good: bool) -> float:
    if not probe.is_instant:
        return probe.period_s
    age_s = now - tally.begun
    return _STEADY_S if good else min(_STEADY_S, max(_EAGER_S, age_s / 50))


def _has_sockets(counts: str, label: bytes) -> bool:
    """A look at the counters first: that costs microseconds, and they are 0 for a while."""
    _, found, rest = _read(counts).partition(label)
    return bool(found) and not rest.startswith(b"0 ")


def _has_listener(table: str, port: int) -> bool:
    lines = _read(table).splitlines()[1:]
    suffix = b":%04X" % port
    return any(
        fields[1].endswith(suffix) and fields[3] == _TCP_LISTEN
        for fields in (line.split(None, 4) for line in lines)
    )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - read many times a second
            return file.read()
    except OSError:
        return b""  # the process has ended


def _get(probe: Probe, host: str) -> str:
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_connection((host, probe.port), probe.timeout_s))
        if probe.scheme == "HTTPS":
            sock = stack.enter_context(_without_trust().wrap_socket(sock))
        names = {name.lower() for name, _ in probe.headers}
        defaults = (("Host", f"{host}:{probe.port}"), ("User-Agent", "kube-probe/labkit"))
        headers = [*(each for each in defaults if each[0].lower() not in names), *probe.headers]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        sock.sendall(f"GET {probe.path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        words = stack.enter_context(sock.makefile("rb")).readline().split(b" ")
    if len(words) < 2 or not words[1].strip().isdigit():
        return "the answer is not HTTP"
    code = int(words[1])
    return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"


def _without_trust() -> ssl.SSLContext:
    """A kubelet does not verify the certificate of what it probes: pods rarely have a real one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _run(probe: Probe, run: state.Run, env: Mapping[str, str]) -> str:
    pid = runtime.init_pid(run)
    if not pid:
        return "the container has ended"
    try:
        done = subprocess.run(
            (*runtime.enter(pid), *probe.command),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=probe.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"command timed out after {probe.timeout_s:g}s"
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    return said[-200:] or f"exit status {done.returncode}" if done.returncode else ""
