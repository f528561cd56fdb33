"""Stand-ins for what the agent meets: an API server, pods, a clock, the kernel."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from labkit.agent import balancer, kernel, live
from labkit.agent import loop as event_loop
from labkit.model import rules
from labkit.model.proxying import Endpoint
from labkit.model.resources import Object


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeKernel:
    """Remembers what it was asked for; fails when told to."""

    def __init__(self) -> None:
        self.applied: list[dict[str, list[rules.Rule]]] = []
        self.forgotten: list[Mapping[tuple[str, int], int]] = []
        self.failure: Exception | None = None
        self.flushed = False

    def is_flushed(self) -> bool:
        if self.failure:
            raise self.failure
        return self.flushed

    def apply(self, wanted: live.WantedRules) -> bool:
        if self.failure:
            raise self.failure
        self.applied.append({chain: list(found) for chain, found in wanted.items()})
        return len(self.applied) < 2 or self.applied[-1] != self.applied[-2]

    def forget_udp_flows(self, portals: Mapping[tuple[str, int], int]) -> None:
        self.forgotten.append(portals)

    @property
    def comments(self) -> set[str]:
        """The service ports that the last rules were for."""
        return {rule.comment for found in self.applied[-1].values() for rule in found}


class FakeRunner:
    """Plays programs: argv -> what they print. Remembers what was run."""

    def __init__(self, answers: Mapping[str, kernel.Finished]) -> None:
        self.answers = dict(answers)
        self.ran: list[tuple[tuple[str, ...], str]] = []

    def __call__(self, argv: Sequence[str], stdin: str) -> kernel.Finished:
        self.ran.append((tuple(argv), stdin))
        return self.answers.get(argv[0], kernel.Finished(0, "", ""))


class FakeApi:
    """An API server that lists and watches what it is given. Plain HTTP, on loopback."""

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._version = 1
        #: Watches from an earlier version are told that it is gone.
        self._oldest = 0
        #: The version of the last deletion: a watch from before it cannot be told of it.
        self._deleted = {"services": 0, "endpoints": 0}
        self._objects: dict[str, dict[str, Object]] = {"services": {}, "endpoints": {}}
        self._watchers: list[tuple[str, queue.SimpleQueue[Object | None]]] = []
        self.selectors: set[str] = set()
        self._serve(port)

    @property
    def kubeconfig(self) -> str:
        return json.dumps(
            {
                "clusters": [
                    {
                        "name": "c",
                        "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"},
                    }
                ],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )

    def put(self, obj: Object) -> None:
        plural = "endpoints" if obj["kind"] == "Endpoints" else "services"
        with self._lock:
            key = _key(obj)
            kind = "MODIFIED" if key in self._objects[plural] else "ADDED"
            self._objects[plural][key] = self._stamped(obj)
            self._tell(plural, kind, obj)

    def remove(self, obj: Object) -> None:
        plural = "endpoints" if obj["kind"] == "Endpoints" else "services"
        with self._lock:
            del self._objects[plural][_key(obj)]
            self._tell(plural, "DELETED", self._stamped(obj))
            self._deleted[plural] = self._version

    def hang_up(self) -> None:
        """End every watch, as a server does when its time for it is over."""
        with self._lock:
            for _, events in self._watchers:
                events.put(None)
            self._watchers.clear()

    def close(self) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers meanwhile; what changed by then no watch can tell of any more."""
        self.close()
        yield
        self._oldest = self._version
        self._serve(self._server.server_port)

    def _serve(self, port: int) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _stamped(self, obj: Object) -> Object:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        return obj

    def _tell(self, plural: str, kind: str, obj: Object) -> None:
        for watched, events in self._watchers:
            if watched == plural:
                events.put({"type": kind, "object": json.loads(json.dumps(obj))})

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                api.selectors.add(query.get("labelSelector", ""))
                plural = url.path.rpartition("/")[2]
                if query.get("watch") == "true":
                    self._watch(plural, int(query["resourceVersion"]))
                else:
                    self._list(plural)

            def _list(self, plural: str) -> None:
                with api._lock:
                    version = str(api._version)
                    items = list(api._objects[plural].values())
                    body = json.dumps({"metadata": {"resourceVersion": version}, "items": items})
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def _watch(self, plural: str, version: int) -> None:
                events: queue.SimpleQueue[Object | None] = queue.SimpleQueue()
                with api._lock:
                    if version < max(api._oldest, api._deleted[plural]):
                        events.put({"type": "ERROR", "object": {"kind": "Status", "code": 410}})
                        events.put(None)
                    for obj in api._objects[plural].values():
                        if int(obj["metadata"]["resourceVersion"]) > version:
                            events.put({"type": "MODIFIED", "object": dict(obj)})
                    api._watchers.append((plural, events))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with contextlib.suppress(OSError):
                    while (event := events.get()) is not None:
                        line = json.dumps(event).encode() + b"\n"
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class RunningLoop:
    """A loop on a thread of its own; `do` runs something on it and returns the result."""

    def __init__(self) -> None:
        self.loop = event_loop.Loop()
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Any]) -> Any:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put((True, work()))
            except Exception as error:  # noqa: BLE001 - raised again by the caller
                answers.put((False, error))

        self.loop.post(run)
        fine, answer = answers.get(timeout=10)
        if not fine:
            raise answer
        return answer

    def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Return when `condition` holds; the loop looks between its other work."""
        met = threading.Event()

        def look() -> None:
            if condition():
                met.set()
            elif not abandoned.is_set():
                self.loop.later(0.002, look)

        abandoned = threading.Event()
        self.loop.post(look)
        try:
            assert met.wait(timeout_s), "it did not happen in time"
        finally:
            abandoned.set()

    def close(self) -> None:
        self.loop.post(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextlib.contextmanager
def tcp_pod(
    serve: Callable[[socket.socket], None], ip: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """A pod: runs `serve` for each connection, on a thread. Yields its port."""
    listener = socket.create_server((ip, port))

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def endpoint(
    rotation: balancer.Balancer, client: str, tried: Collection[Endpoint] = ()
) -> Endpoint | None:
    """The endpoint alone that a balancer chooses."""
    choice = rotation.choose(client, tried)
    return choice.endpoint if choice else None


def ask(client: socket.socket, address: tuple[str, int]) -> bytes:
    """One byte there and one back. A reset may come so soon that connect() itself meets it."""
    client.settimeout(5)
    client.connect(address)
    client.sendall(b"x")
    return client.recv(1)


def echo_all(connection: socket.socket) -> None:
    """Read until the client has said all, and only then answer: needs half-close."""
    said = b"".join(iter(lambda: connection.recv(65536), b""))
    connection.sendall(said)


def _key(obj: Object) -> str:
    return f"{obj['metadata'].get('namespace', 'default')}/{obj['metadata']['name']}"


#: A datagram may be lost; then it is sent again.
AGAIN_S = 0.2


@contextlib.contextmanager
def udp_pod(ip: str) -> Iterator[int]:
    """Sends back what it gets, until the block ends. Gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ip, 0))

        def serve() -> None:
            while (received := sock.recvfrom(65535))[0]:
                sock.sendto(*received)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield sock.getsockname()[1]
        sock.sendto(b"", sock.getsockname())
        thread.join()


def udp_client(address: tuple[str, int]) -> socket.socket:
    """Asks `address`, from one port all the time."""
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(AGAIN_S)
    asking.connect(address)
    return asking


def ask_until_answered(asking: socket.socket, limit_s: float) -> None:
    """Send a question of its own until its answer is there; late answers to others do not count."""
    question = os.urandom(8)
    deadline = time.monotonic() + limit_s
    while True:
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            asking.send(question)
            while asking.recv(100) != question:
                pass
            return
        assert time.monotonic() < deadline, "nobody answers by UDP"
