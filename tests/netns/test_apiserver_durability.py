"""A real server that is killed, filled up and raced for: what it has acknowledged, it keeps."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labkit.client import config as client_config
from labkit.client import watch
from labkit.model import resources
from tests.contracts import apiserver

MAPS = "/api/v1/namespaces/default/configmaps"
CONFIG_MAPS = resources.CONFIG_MAPS
KILLS = 30
WRITERS = 4
#: A reconnect after a kill: the server's start, and the Reflector's longest wait.
RECONNECT_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path) as made:
        yield made


def put(server: apiserver.Server, name: str, value: int, revision: str = "") -> tuple[int, Any]:
    meta = {"name": name, **({"resourceVersion": revision} if revision else {})}
    body = {"metadata": meta, "data": {"value": str(value), "twin": str(value)}}
    path = f"{MAPS}/{name}" if revision else MAPS
    return server.request("PUT" if revision else "POST", path, body)


@dataclass
class Writer:
    """Counts one object up until told to stop; knows what was acknowledged."""

    server: apiserver.Server
    name: str
    stopping: threading.Event
    #: Who knocks at a server that is down takes the CPU that it needs to come up.
    serving: threading.Event
    acknowledged: int = 0
    revision: str = ""
    #: Sent, and the connection broke before the answer: it may have been taken or not.
    doubtful: int = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._write()
            except (OSError, http.client.HTTPException):
                self.serving.wait()  # killed: try again when it is back

    def _write(self) -> None:
        if self.doubtful:
            code, found = self.server.request("GET", f"{MAPS}/{self.name}")
            value = int(found["data"]["value"]) if code == 200 else 0
            assert value in (self.acknowledged, self.doubtful), "an acknowledged write is lost"
            self.acknowledged, self.doubtful = value, 0
            self.revision = found["metadata"]["resourceVersion"] if code == 200 else ""
        self.doubtful = self.acknowledged + 1
        code, answer = put(self.server, self.name, self.doubtful, self.revision)
        assert code in (200, 201), answer
        self.acknowledged, self.doubtful = self.doubtful, 0
        self.revision = answer["metadata"]["resourceVersion"]


@dataclass
class Follower:
    """A Reflector's picture of the objects, checked as it comes."""

    values: dict[str, int] = field(default_factory=dict)
    lists: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def on_change(self, change: watch.Change) -> None:
        with self.changed:
            if isinstance(change, watch.Synced):
                self.lists += 1
                self.values = {each["metadata"]["name"]: _value(each) for each in change.objects}
            else:
                name, value = change.object["metadata"]["name"], _value(change.object)
                before = self.values.get(name, 0)
                assert value == before + 1 or name == "kube-root-ca.crt", "an event is missing"
                self.values[name] = value
            self.changed.notify_all()

    def await_value(self, name: str, value: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.values.get(name, 0) >= value, RECONNECT_S)


def _value(obj: Any) -> int:
    data = obj.get("data") or {}
    assert data.get("twin") == data.get("value"), "a write is half there"
    return int(data.get("value") or 0)


@contextlib.contextmanager
def following(server: apiserver.Server) -> Iterator[Follower]:
    follower = Follower()
    config = client_config.ClientConfig(
        f"https://127.0.0.1:{server.port}", (server.folder / "ca.crt").read_text(), "admin"
    )
    failed: list[BaseException] = []
    reflector = watch.Reflector(config, CONFIG_MAPS, on_change=follower.on_change)

    def run() -> None:
        try:
            reflector.run()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield follower
    finally:
        reflector.stop()
        thread.join(10)
    assert not failed


# Python's own: SSLSocket leaves itself open if the peer is gone before the handshake begins.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.timeout(300)
def test_killed_at_any_moment(server: apiserver.Server) -> None:
    stopping, serving = threading.Event(), threading.Event()
    writers = [Writer(server, f"w{number}", stopping, serving) for number in range(WRITERS)]
    highest = 0
    with following(server) as follower, futures.ThreadPoolExecutor(WRITERS) as pool:
        running = [pool.submit(writer.run) for writer in writers]
        try:
            for _ in range(KILLS):
                # Not a wait for something: the moment of the kill is meant to be any.
                time.sleep(random.uniform(0, 0.05))
                serving.clear()
                server.stop(kill=True)
                server.start()
                serving.set()
                _, listed = server.request("GET", MAPS)
                revision = int(listed["metadata"]["resourceVersion"])
                assert revision >= highest, "the revision went back"
                highest = max(revision, *(int(w.revision or 0) for w in writers))
                assert not [each for each in running if each.done()]
                # The watch goes on, within a reconnect.
                writer = random.choice(writers)
                follower.await_value(writer.name, writer.acknowledged)
        finally:
            stopping.set()
            serving.set()
        for each in running:
            each.result(30)
        for writer in writers:
            follower.await_value(writer.name, writer.acknowledged)
    _, listed = server.request("GET", MAPS)
    values = {each["metadata"]["name"]: _value(each) for each in listed["items"]}
    for writer in writers:
        assert writer.acknowledged > 0
        assert values[writer.name] in (writer.acknowledged, writer.doubtful)
    assert follower.lists >= 1


def test_of_two_writers_at_the_same_time_one_wins(server: apiserver.Server) -> None:
    """Eight clients count one object up by read and write: no count is lost."""
    put(server, "counter", 0)

    def count(_: int) -> tuple[int, int]:
        wins = conflicts = 0
        with contextlib.closing(server.connect()) as connection:
            headers = {"Authorization": "Bearer admin", "Content-Type": "application/json"}
            for _ in range(40):
                connection.request("GET", f"{MAPS}/counter", headers=headers)
                found = json.loads(connection.getresponse().read())
                found["data"] = {"value": str(_value(found) + 1), "twin": str(_value(found) + 1)}
                connection.request("PUT", f"{MAPS}/counter", json.dumps(found), headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status in (200, 409), answer
                wins += response.status == 200
                if response.status == 409:
                    conflicts += 1
                    assert answer["reason"] == "Conflict"
                    assert "the object has been modified; please apply" in answer["message"]
        return wins, conflicts

    with futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(count, range(8)))
    _, found = server.request("GET", f"{MAPS}/counter")
    assert _value(found) == sum(wins for wins, _ in results)
    assert sum(conflicts for _, conflicts in results) > 0, "they never met: nothing was tested"


# --- a full disk ---------------------------------------------------------------------------------

#: The data folder is a small file system in a mount namespace of the server's own.
MOUNT = 'mount -t tmpfs -o size=2m,mode=700 tmpfs "$1" && shift && exec "$@"'


@dataclass
class OnSmallDisk(apiserver.Server):
    def argv(self, *more: str) -> list[str]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        argv = ["unshare", "--mount", *user, "sh", "-euc", MOUNT, "sh", str(data)]
        return [*argv, *super().argv(*more)]

    @property
    def disk(self) -> Path:
        assert self.process
        return Path(f"/proc/{self.process.pid}/root{self.folder / 'data'}")


def test_a_full_disk(tmp_path: Path) -> None:
    """Writes are refused and say why, reads and watches go on; room is all that is needed."""
    server = OnSmallDisk(apiserver.prepare(tmp_path).folder)
    server.start()
    try:
        put(server, "first", 1)
        filler = server.disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        refused: Any = {}
        written = ["first"]
        for number in itertools.count():
            body = {"metadata": {"name": f"m{number}"}, "data": {"text": "x" * 20_000}}
            code, refused = server.request("POST", MAPS, body)
            if code != 201:
                break
            written.append(f"m{number}")
        assert (code, refused["kind"], refused["reason"]) == (500, "Status", "InternalError")
        assert "the store cannot write: database or disk is full" in refused["message"]
        _, listed = server.request("GET", MAPS)
        names = {each["metadata"]["name"] for each in listed["items"]}
        assert names - {"kube-root-ca.crt"} == set(written)

        filler.unlink()
        body = {"metadata": {"name": "after"}, "data": {"text": "x" * 20_000}}
        assert server.request("POST", MAPS, body)[0] == 201
    finally:
        server.stop()


def test_a_second_server_on_the_same_store_is_refused(server: apiserver.Server) -> None:
    argv = [word for word in server.argv() if not word.startswith("--secure-port")]
    argv += ["--secure-port=0"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "database is locked" in done.stderr
    assert "another API server uses it" in done.stderr
    assert sys.executable == argv[0]
