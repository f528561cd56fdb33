"""The agent under everything that happens to it at once, for a while.

Some seconds of it are in the everyday suite; `pytest -m soak` takes three minutes. Several agents
live one after the other and are killed with -9. During each life Services and endpoints come and
go, somebody empties a chain, the API server is started anew with changes that nobody was told of,
and clients come and go. What must hold:

* a connection to an endpoint that is well goes on, whatever happens to others;
* a Service that lives has its rule, also while no agent runs; one that is new, or whose rule
  somebody took away, has it within one sync;
* when all of that is over, the agent has as many descriptors and threads, and about as much memory,
  as at the beginning.
"""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import pytest

from tests.netns import isolation
from tests.netns.test_agent import NODE_IP, Node, comments, endpoints, service
from tests.unit.agent import fakes

LIVES = 3
SYNC_S = 1.0
#: Within one sync; the rest is for programs of a machine that does other things as well.
IN_TIME_S = SYNC_S + 2.0
#: An agent that starts, or whose API server was away, first has to ask.
ASKED_S = 10.0
HELD = 20
#: The loop, a watch of Services and one of Endpoints.
THREADS = 3
AT_MOST = 12
#: The journal fills up to its thousand records meanwhile; a leak of connections takes more.
GROWTH_KB = 4096
FLAGS = (f"--iptables-sync-period={SYNC_S:g}s", "--iptables-min-sync-period=0")
STEADY = "steady"


class Soak:
    """One node, what lives on it at the moment, and what is done to it."""

    def __init__(self, node: Node, port: int, dice: random.Random) -> None:
        self._node = node
        self._port = port
        self._dice = dice
        self._live = {STEADY: self._put(STEADY, 1)}
        self._numbers = iter(range(2, 60_000))
        self.held: list[socket.socket] = []

    def live_once(self, seconds: float) -> None:
        """One agent, from its start to its violent end."""
        with self._killed_agent() as agent:
            self._settle(self._ruled(), ASKED_S)
            self._await_answer(STEADY, ASKED_S)
            self.held = [socket.create_connection(self._live[STEADY], 5) for _ in range(HELD)]
            self._ask_held()
            before = _at_rest(agent.pid)
            deadline = time.monotonic() + seconds
            actions = (self._add, self._remove, self._move, self._flush, self._restart_api)
            while time.monotonic() < deadline:
                for action in self._dice.sample(actions, len(actions)):
                    action()
                    self._ask_held()
                    self._ask_all()
            for name in set(self._live) - {STEADY}:
                self._drop(name)
            self._settle({STEADY}, IN_TIME_S)
            _await(lambda: _at_rest(agent.pid).is_like(before), lambda: (before, _Needs(agent.pid)))
            self._ask_held()
        for client in self.held:
            client.close()  # those of a killed agent are lost

    def _add(self) -> None:
        if len(self._live) < AT_MOST:
            name = f"app{(number := next(self._numbers))}"
            steady = set(self._live)
            self._live[name] = self._put(name, number)
            self._settle(steady, IN_TIME_S)
            self._await_answer(name, IN_TIME_S)

    def _remove(self) -> None:
        if others := sorted(set(self._live) - {STEADY}):
            self._drop(self._dice.choice(others))
            self._settle(set(self._live), IN_TIME_S)

    def _move(self) -> None:
        """A dead endpoint comes to each Service, or goes."""
        for name in self._live:
            dead = self._dice.choice(([], [{"ip": "127.0.0.9"}]))
            changed = endpoints(name, self._port)
            changed["subsets"][0]["addresses"] += dead
            self._node.api.put(changed)
        self._settle(set(self._live), IN_TIME_S)

    def _flush(self) -> None:
        """Somebody takes our rules away."""
        isolation.run("iptables", "-t", "nat", "-F", "KUBE-PORTALS-HOST")
        self._settle(set(), IN_TIME_S)

    def _restart_api(self) -> None:
        """While it is away one Service goes and another comes."""
        steady = set(self._live)
        with self._node.api.away():
            if others := sorted(steady - {STEADY}):
                self._drop(self._dice.choice(others))
            name = f"app{(number := next(self._numbers))}"
            self._live[name] = self._put(name, number)
        self._settle(steady & set(self._live), ASKED_S)
        self._await_answer(name, ASKED_S)

    def _put(self, name: str, number: int) -> tuple[str, int]:
        ip = f"10.96.{number // 250}.{number % 250 + 1}"
        self._node.api.put(endpoints(name, self._port))
        self._node.api.put(service(name, ip))
        return ip, 80

    def _drop(self, name: str) -> None:
        ip, _ = self._live.pop(name)
        self._node.api.remove(service(name, ip))
        self._node.api.remove(endpoints(name, self._port))

    def _settle(self, steady: Set[str], limit_s: float) -> None:
        """Until exactly those that live have rules; never without those of the `steady` ones."""
        deadline = time.monotonic() + limit_s
        while (found := self._ruled()) != set(self._live):
            assert steady <= found, f"without a rule: {sorted(steady - found)}"
            assert time.monotonic() < deadline, (sorted(found), sorted(self._live))

    def _await_answer(self, name: str, limit_s: float) -> None:
        """The rule of a new Service may be there before its endpoints are: that is a reset."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                with socket.create_connection(self._live[name], 10) as client:
                    return _ask(client)
            except (ConnectionResetError, ConnectionRefusedError):
                assert time.monotonic() < deadline, f"{name} does not answer"

    def _ruled(self) -> set[str]:
        found = comments(self._node.ruleset())
        return {comment.rpartition("/")[2].rstrip(":") for comment in found}

    def _ask_held(self) -> None:
        for client in self.held:
            _ask(client)

    def _ask_all(self) -> None:
        """New clients, of every Service."""
        for address in self._live.values():
            with socket.create_connection(address, 10) as client:
                _ask(client)

    @contextlib.contextmanager
    def _killed_agent(self) -> Iterator[subprocess.Popen[bytes]]:
        with self._node.agent(*FLAGS) as agent:
            yield agent
            agent.kill()
            agent.wait()
            assert self._ruled() == set(self._live)


class _Needs:
    """What a process takes of the machine."""

    def __init__(self, pid: int) -> None:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        self.kilobytes = int(status["VmRSS"].split()[0])
        self.threads = int(status["Threads"])
        self.descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))

    def __repr__(self) -> str:
        return f"{self.kilobytes} kB, {self.threads} threads, {self.descriptors} descriptors"

    def is_like(self, before: _Needs) -> bool:
        return (
            self.threads == before.threads
            and self.descriptors == before.descriptors
            and self.kilobytes <= before.kilobytes + GROWTH_KB
        )


def _at_rest(pid: int) -> _Needs:
    """What it takes between two syncs: while one goes on there are a thread and two pipes more."""
    deadline = time.monotonic() + 5
    while True:
        needs, again = _Needs(pid), _Needs(pid)
        if needs.threads == again.threads == THREADS:
            return needs
        assert time.monotonic() < deadline, f"it never rests: {needs}"


def _await(condition: Callable[[], bool], tell: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, tell()


def _ask(client: socket.socket) -> None:
    client.settimeout(10)
    client.sendall(b"ping")
    assert client.recv(100) == b"ping"


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seconds", [9, pytest.param(180, marks=pytest.mark.soak)])
def test_nothing_is_lost_and_nothing_leaks(seconds: int) -> None:
    def body() -> None:
        node = Node()
        with fakes.tcp_pod(_echo, NODE_IP) as port:
            soak = Soak(node, port, random.Random(seconds))
            for _ in range(LIVES):
                soak.live_once(seconds / LIVES)

    isolation.run_isolated(body)
