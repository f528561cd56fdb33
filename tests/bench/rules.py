"""How long a kube-proxy needs to program many Services, and one more beside them.

The agent runs in a network of its own, with the kernel's real rules; its API server is a stand-in
that answers from memory, so that what is measured is the agent, iptables and the kernel. A Service
here has a clusterIP, a nodePort and an endpoint: four rules and a proxy port.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.netns import isolation
from tests.netns.test_agent import Node, comments, endpoints, service
from tests.unit.agent import fakes

SIZES = (1000, 10_000)
#: The only range that holds so many nodePorts is all of them; they are not what is measured.
FIRST_NODE_PORT, NODE_PORTS = 30_000, 2700
LIMIT_S = 120.0
MORE = "one-more"


def measure(sizes: Sequence[int] = SIZES) -> list[dict[str, float]]:
    """Seconds from nothing, and for one Service more, by number of Services."""
    return [_isolated(size) for size in sizes]


def rows(found: Sequence[Mapping[str, float]]) -> list[list[str]]:
    return [
        [
            f"{each['services']:,}",
            f"{each['start_s']:.2f}",
            f"{each['cpu_s']:.2f}",
            f"{each['one_more_s']:.3f}",
            f"{each['one_more_cpu_s']:.3f}",
            f"{each['resident_mb']:.0f}",
        ]
        for each in found
    ]


HEAD = ["Services", "all: s", "its CPU", "one more: s", "its CPU", "resident MB"]


def _isolated(size: int) -> dict[str, float]:
    read, write = os.pipe()

    def body() -> None:
        os.write(write, json.dumps(_measure(size)).encode())

    isolation.run_isolated(body)
    os.close(write)
    with os.fdopen(read) as pipe:
        found: dict[str, float] = json.load(pipe)
    return found


def _measure(size: int) -> dict[str, float]:
    node = Node()
    for number in range(size):
        _put(node.api, f"app{number}", number)
    begun = time.monotonic()
    with node.agent() as agent:
        _await(node, size, "app0")
        ready = time.monotonic()
        used = _cpu_s(agent)
        _put(node.api, MORE, size)
        asked = time.monotonic()
        _await(node, size + 1, MORE)
        return {
            "services": size,
            "start_s": ready - begun,
            "cpu_s": used,
            "one_more_s": time.monotonic() - asked,
            "one_more_cpu_s": _cpu_s(agent) - used,
            "resident_mb": _resident_mb(agent),
        }


def _put(api: fakes.FakeApi, name: str, number: int) -> None:
    port: dict[str, Any] = {}
    if number < NODE_PORTS:
        port["nodePort"] = FIRST_NODE_PORT + number
    api.put(endpoints(name, 8080))
    api.put(
        service(
            name, f"10.{100 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}", **port
        )
    )


def _await(node: Node, services: int, name: str) -> None:
    """Until the kernel has the rule. Asking for a chain of 10,000 rules takes some 0.2 s itself."""
    deadline = time.monotonic() + LIMIT_S
    while f"default/{name} " not in _chain().replace('"', " "):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no rule of {name} after {LIMIT_S:.0f} s")
    found = len(comments(node.ruleset()))
    if found != services:
        raise AssertionError(f"{found} Services have rules, not {services}")


def _chain() -> str:
    return isolation.run("iptables", "-t", "nat", "-S", "KUBE-PORTALS-HOST", check=False)


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Of the process and of the programs that it ran."""
    with open(f"/proc/{process.pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _resident_mb(process: subprocess.Popen[bytes]) -> float:
    with open(f"/proc/{process.pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
