"""`kubectl exec`: a program is run inside a container that runs already, and joined to the client.

The program enters the container's namespaces (see `runtime.enter`). Its three streams are pipes, or
a terminal that is made for it; its exit status goes back as a Kubernetes Status. A client that
hangs up takes the program with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from labkit.model.resources import Object
from labkit.podlet import channels, logs, messages, remotecommand, runtime, terminal, websocket

#: No more is read from the client while this much still waits for the program to read it.
_PENDING_MAX = 64 * 1024
_PIECE = 32 * 1024
#: How long a goodbye may take.
_PATIENCE_S = 5.0
_KILLED = 128


def serve(
    query: remotecommand.Query,
    place: remotecommand.Place,
    headers: Mapping[str, str],
    sock: ssl.SSLSocket,
) -> None:
    """Run it, and stay until it has ended and the client knows how, or the client has left.

    Raises ApiError while that can still be told as a refusal.
    """
    protocol = choose_protocol(headers)
    inside = plan_command(query, place)
    client = messages.Messages(sock, headers, protocol)
    try:
        with Session(query, inside, place.env, client) as session:
            code = session.run()
    except websocket.ProtocolError:
        return
    if code is not None:
        client.send(channels.join(channels.ERROR, json.dumps(render_status(code)).encode()))
    client.close(_PATIENCE_S)


def choose_protocol(headers: Mapping[str, str]) -> str:
    """Raises ApiError for a client that speaks none that is spoken here.

    (Without a colon and a blank: kubectl would take the text for YAML, and print nothing of it.)
    """
    protocol = websocket.choose_protocol(headers, channels.PROTOCOLS)
    if not protocol:
        raise logs.refused(
            400,
            f"labkit's exec speaks WebSocket ({channels.PROTOCOLS[0]}), not SPDY; use kubectl "
            "1.31 or later (1.29 and 1.30 need KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true)",
        )
    return protocol


def plan_command(query: remotecommand.Query, place: remotecommand.Place) -> tuple[str, ...]:
    """Build the command that runs the program inside. Raises ApiError when there is no inside."""
    init = runtime.init_pid(place.run)
    if not init:
        raise logs.refused(500, f'container "{query.container}" has ended')
    return (*runtime.enter(init), "env", f"--chdir={place.folder}", "--", *query.command)


def render_status(code: int) -> Object:
    """How it ended, as the remote command protocol says it from its fourth version on."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


class Session:
    """One program and its client, and what goes to and fro between the two."""

    def __init__(
        self,
        query: remotecommand.Query,
        inside: Sequence[str],
        env: Mapping[str, str],
        client: messages.Messages,
    ) -> None:
        self._client = client
        self._pending = bytearray()
        self._input_ends = not query.stdin
        #: What is read from which descriptor goes to which channel.
        self._outputs: dict[int, int] = {}
        self._input = -1
        self._terminal = -1
        self._process = (self._start_at_terminal if query.tty else self._start)(query, inside, env)
        for fd in {*self._outputs, self._input} - {-1}:
            os.set_blocking(fd, False)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of the program is left, whatever has happened."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for fd in {*self._outputs, self._input} - {-1}:
            os.close(fd)

    def run(self) -> int | None:
        """The exit status; None for a client that has left first."""
        ended = os.pidfd_open(self._process.pid)
        try:
            while not self._client.is_over:
                ready = self._wait(ended)
                for fd in self._outputs.keys() & ready:
                    self._pass_output(fd)
                if self._client.fileno() in ready:
                    self._take_from_client()
                self._feed()
                if ended in ready:
                    return self._finish()
            return None
        finally:
            os.close(ended)

    def _start_at_terminal(
        self, query: remotecommand.Query, inside: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        process, self._terminal = terminal.start(inside, {**env, "TERM": "xterm"})
        self._outputs[self._terminal] = channels.STDOUT
        self._input = self._terminal if query.stdin else -1
        return process

    def _start(
        self, query: remotecommand.Query, inside: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen(
            inside,
            env=env,
            stdin=pipe if query.stdin else null,
            stdout=pipe if query.stdout else null,
            stderr=pipe if query.stderr else null,
            start_new_session=True,
            bufsize=0,
        )
        self._input = _take_over(process.stdin)
        for stream, channel in (
            (process.stdout, channels.STDOUT),
            (process.stderr, channels.STDERR),
        ):
            if stream is not None:
                self._outputs[_take_over(stream)] = channel
        return process

    def _wait(self, ended: int) -> set[int]:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        if self._pending and self._input >= 0:
            events = select.POLLOUT | (select.POLLIN if self._input in self._outputs else 0)
            poll.register(self._input, events)
        if len(self._pending) < _PENDING_MAX:
            poll.register(self._client.fileno(), select.POLLIN)
        return {fd for fd, _ in poll.poll()}

    def _pass_output(self, fd: int) -> bool:
        """Pass on one piece; False when there is none now, and maybe never will be."""
        try:
            piece = os.read(fd, _PIECE)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""  # EIO: the last program has left the terminal
        if piece:
            self._client.send(channels.join(self._outputs[fd], piece))
            return True
        del self._outputs[fd]
        if fd != self._input:
            os.close(fd)
        return False

    def _take_from_client(self) -> None:
        for channel, data in map(channels.split, self._client.receive()):
            if channel == channels.STDIN:
                self._pending += data
            elif channel == channels.RESIZE and self._terminal >= 0:
                terminal.resize(self._terminal, data)
            elif channel == channels.CLOSE and data == bytes([channels.STDIN]):
                self._input_ends = True

    def _feed(self) -> None:
        """Give the program what it can take of its input, and after the last of it the end."""
        if self._input < 0:
            self._pending.clear()
            return
        try:
            while self._pending:
                del self._pending[: os.write(self._input, self._pending[:_PIECE])]
        except BlockingIOError:
            return
        except OSError:
            self._pending.clear()  # it reads no more: the rest is for nobody
        if self._input_ends and self._terminal < 0:
            os.close(self._input)
            self._input = -1

    def _finish(self) -> int:
        """Pass on what it has left in the pipes. What it has started may hold them open."""
        for fd in list(self._outputs):
            while self._pass_output(fd):
                pass
        code = self._process.wait()
        return code if code >= 0 else _KILLED - code


def _take_over(stream: IO[bytes] | None) -> int:
    """The descriptor of a pipe's end, which is closed by us and by nobody else; -1 for none."""
    if stream is None:
        return -1
    with stream:
        return os.dup(stream.fileno())
