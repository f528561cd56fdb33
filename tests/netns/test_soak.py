"""The agent under everything that happens to it at once, for a while.

Some seconds of it are in the everyday suite; `pytest -m soak` takes three minutes. Several agents
live one after the other and are killed with -9. During each life Services and endpoints come and
go, somebody empties a chain, the API server is started anew with changes that nobody was told of,
and clients come and go. What must hold:

* a connection to an endpoint that is well goes on, whatever happens to others;
* a client that asks by UDP from one port is answered again and again, whichever agent lives;
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
from typing import Any

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
#: A Service of UDP that lives as long as everything, and those who ask it from one port each.
STEADY_UDP = "udp-steady"
UDP_CLIENTS = 5
#: kube-proxy's --udp-timeout, by default.
SESSION_S = 0.25
LASTING = frozenset({STEADY, STEADY_UDP})


class Soak:
    """One node, what lives on it at the moment, and what is done to it."""

    def __init__(self, node: Node, pods: dict[str, int], dice: random.Random) -> None:
        self._node = node
        #: By protocol, the port of a pod that answers with what it was asked.
        self._pods = pods
        self._dice = dice
        self._live = {STEADY: self._put(STEADY, 1), STEADY_UDP: self._put(STEADY_UDP, 2)}
        self._numbers = iter(range(3, 60_000))
        self.held: list[socket.socket] = []
        self._asking = [fakes.udp_client(self._live[STEADY_UDP]) for _ in range(UDP_CLIENTS)]

    def live_once(self, seconds: float) -> None:
        """One agent, from its start to its violent end."""
        with self._killed_agent() as agent:
            self._settle(self._ruled(), ASKED_S)
            self._await_answer(STEADY, ASKED_S)
            self._ask_udp(ASKED_S)
            self.held = [socket.create_connection(self._live[STEADY], 5) for _ in range(HELD)]
            self._ask_held()
            before = _between_sessions(agent.pid)
            deadline = time.monotonic() + seconds
            actions = (self._add, self._remove, self._move, self._flush, self._restart_api)
            while time.monotonic() < deadline:
                for action in self._dice.sample(actions, len(actions)):
                    action()
                    self._ask_held()
                    self._ask_all()
            for name in set(self._live) - LASTING:
                self._drop(name)
            self._settle(LASTING, IN_TIME_S)
            _await(lambda: _at_rest(agent.pid).is_like(before), lambda: (before, _Needs(agent.pid)))
            self._ask_held()
            self._ask_udp(IN_TIME_S)
        for client in self.held:
            client.close()  # those of a killed agent are lost

    def close(self) -> None:
        for client in self._asking:
            client.close()

    def _add(self) -> None:
        if len(self._live) < AT_MOST:
            steady = set(self._live)
            name = self._invent()
            self._settle(steady, IN_TIME_S)
            self._await_answer(name, IN_TIME_S)

    def _remove(self) -> None:
        if others := sorted(set(self._live) - LASTING):
            self._drop(self._dice.choice(others))
            self._settle(set(self._live), IN_TIME_S)

    def _move(self) -> None:
        """A dead endpoint comes to each Service, or goes."""
        for name in self._live:
            dead = self._dice.choice(([], [{"ip": "127.0.0.9"}]))
            changed = self._endpoints(name)
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
            if others := sorted(steady - LASTING):
                self._drop(self._dice.choice(others))
            name = self._invent()
        self._settle(steady & set(self._live), ASKED_S)
        self._await_answer(name, ASKED_S)

    def _invent(self) -> str:
        """A new Service, of either protocol."""
        number = next(self._numbers)
        name = f"{self._dice.choice(('app', 'udp'))}-{number}"
        self._live[name] = self._put(name, number)
        return name

    def _put(self, name: str, number: int) -> tuple[str, int]:
        ip = f"10.96.{number // 250}.{number % 250 + 1}"
        self._node.api.put(self._endpoints(name))
        self._node.api.put(service(name, ip, _protocol(name)))
        return ip, 80

    def _drop(self, name: str) -> None:
        ip, _ = self._live.pop(name)
        self._node.api.remove(service(name, ip, _protocol(name)))
        self._node.api.remove(self._endpoints(name))

    def _endpoints(self, name: str) -> dict[str, Any]:
        return endpoints(name, self._pods[_protocol(name)])

    def _settle(self, steady: Set[str], limit_s: float) -> None:
        """Until exactly those that live have rules; never without those of the `steady` ones."""
        deadline = time.monotonic() + limit_s
        while (found := self._ruled()) != set(self._live):
            assert steady <= found, f"without a rule: {sorted(steady - found)}"
            assert time.monotonic() < deadline, (sorted(found), sorted(self._live))

    def _await_answer(self, name: str, limit_s: float) -> None:
        """The rule of a new Service may be there before its endpoints are: that is a reset."""
        if _protocol(name) == "UDP":
            with fakes.udp_client(self._live[name]) as asking:
                return fakes.ask_until_answered(asking, limit_s)
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
        """New clients, of every Service; and those by UDP that are not new."""
        for name, address in self._live.items():
            if _protocol(name) == "UDP":
                self._await_answer(name, IN_TIME_S)
            else:
                with socket.create_connection(address, 10) as client:
                    _ask(client)
        self._ask_udp(IN_TIME_S)

    def _ask_udp(self, limit_s: float) -> None:
        """Each from the port that it has asked from since the beginning."""
        for asking in self._asking:
            fakes.ask_until_answered(asking, limit_s)

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


def _between_sessions(pid: int) -> _Needs:
    """What it takes when no UDP session is left: each of them has a descriptor.

    It is the least that it took for as long as two of them live.
    """
    least, since = _at_rest(pid), time.monotonic()
    while time.monotonic() - since < 2 * SESSION_S:
        if (needs := _at_rest(pid)).descriptors < least.descriptors:
            least, since = needs, time.monotonic()
    return least


def _protocol(name: str) -> str:
    return "UDP" if name.startswith("udp") else "TCP"


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
        with fakes.tcp_pod(_echo, NODE_IP) as tcp, fakes.udp_pod(NODE_IP) as udp:
            soak = Soak(node, {"TCP": tcp, "UDP": udp}, random.Random(seconds))
            for _ in range(LIVES):
                soak.live_once(seconds / LIVES)
            soak.close()

    isolation.run_isolated(body)
