"""What the way through a proxy costs: the same load from `control` to a pod on node2, three times.

    direct     to the pod's own address
    labkit     to node1's nodePort, where our kube-proxy makes two connections of one
    HAProxy    to HAProxy on node1, in TCP mode with splicing, which does the same; socat for UDP

All three share this machine's cores with the load and the pod. So the figures of one run can be
compared with each other, and with nothing else.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import statistics
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import errors
from labkit.inspection import probing
from labkit.lab import Lab, api
from labkit.model import resources
from tests.bench import client, memory

NAME, PORT, NODE_PORT = "bench", 9000, 30900
CLIENT, PROXY_NODE, POD_NODE = "control", "node1", "node2"
RUNS = 3
REQUESTS = 500
CONNECTIONS = 4000
STREAM_BYTES = 2 * 2**30
DATAGRAMS = 20_000
#: Both ends of a connection take a descriptor in a proxy, and not every machine allows 20,000.
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
IDLE = min(10_000, (DESCRIPTORS - 2000) // 2)
RAISE_LIMIT = ("sh", "-c", 'ulimit -n $(ulimit -H -n); exec "$@"', "sh")

LABELS = {"name": NAME}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": NAME},
    "spec": {
        "type": "NodePort",
        "selector": LABELS,
        "ports": [
            {"name": "tcp", "port": PORT, "nodePort": NODE_PORT},
            {"name": "udp", "port": PORT, "nodePort": NODE_PORT, "protocol": "UDP"},
        ],
    },
}
HAPROXY = """\
global
    maxconn {idle}
    maxpipes 256
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind :{port}
    server pod {pod}:{port}
"""
#: Starts both in the background and says their pids.
START = """
printf %s "$1" >/run/haproxy.cfg
haproxy -db -f /run/haproxy.cfg >/run/haproxy.log 2>&1 & echo $!
socat UDP4-LISTEN:{port},fork,reuseaddr,rcvbuf=2097152 UDP4:{pod}:{port} \\
    >/run/socat.log 2>&1 & echo $!
"""


@dataclass(slots=True)
class Way:
    """One way to the pod: where to dial, who carries, and what was measured."""

    name: str
    address: str
    port: int
    #: A pattern of the command line of the process that carries; none for the direct way.
    carrier: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def measure(lab: Lab) -> dict[str, dict[str, Any]]:
    """Measure all ways, in turns, and take away what was needed for it. Figures by way."""
    with _pod(lab) as pod_ip, _rivals(lab, pod_ip) as rivals:
        node = str(lab.spec.node(PROXY_NODE).address)
        ways = [
            Way("direct", pod_ip, PORT),
            Way("labkit", node, NODE_PORT, r"^\S*python\S* .*kube-proxy\.pyz "),
            *(Way(name, node, PORT, carrier) for name, carrier in rivals.items()),
        ]
        for _ in range(RUNS):
            for way in ways:
                _measure(lab, way)
        for way in ways:
            if way.carrier:
                _measure_idle(lab, way)
    return {way.name: _settle(way.figures) for way in ways}


def _measure(lab: Lab, way: Way) -> None:
    note = way.figures.setdefault
    found = _load(lab, way, "requests", REQUESTS)
    note("request_us", []).append(statistics.median(found))
    note("request_p99_us", []).append(statistics.quantiles(found, n=100)[98])
    note("exchange_us", []).append(statistics.median(_load(lab, way, "exchanges", REQUESTS)))
    with _cpu(lab, way, "cpu_s_per_1000_connections", CONNECTIONS / 1000):
        seconds = _load(lab, way, "connections", CONNECTIONS)
    note("connections_per_s", []).append(CONNECTIONS / seconds)
    with _cpu(lab, way, "cpu_s_per_gb", STREAM_BYTES / 1e9):
        seconds = _load(lab, way, "stream", STREAM_BYTES)
    note("gbit_per_s", []).append(STREAM_BYTES * 8 / seconds / 1e9)
    found = _load(lab, way, "datagrams", DATAGRAMS)
    note("datagrams_per_s", []).append((DATAGRAMS - found["lost"]) / found["seconds"])
    note("datagrams_lost", []).append(found["lost"])


def _measure_idle(lab: Lab, way: Way) -> None:
    """What the proxy holds with nothing to do, and with IDLE open connections."""
    way.figures["rest_mb"] = [_carrier(lab, way).kilobytes / 1024]
    for path in (client.READY, client.DONE):
        lab.exec(CLIENT, ["mkfifo", path])
    loading = threading.Thread(target=_load, args=(lab, way, "idle", IDLE))
    loading.start()
    try:
        lab.exec(CLIENT, ["cat", client.READY])
        way.figures["idle_mb"] = [_carrier(lab, way).kilobytes / 1024]
    finally:
        lab.exec(CLIENT, ["sh", "-c", f"echo >{client.DONE}; rm {client.READY} {client.DONE}"])
        loading.join()


def _load(lab: Lab, way: Way, what: str, count: int) -> Any:
    program = Path(client.__file__).read_text()
    argv = ("/usr/bin/python3", "-c", program, what, way.address, str(way.port), str(count))
    done = lab.exec(CLIENT, [*RAISE_LIMIT, *argv])
    if done.exit_status:
        raise errors.LabkitError(f"{way.name}, {what}: {done.stderr}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def _cpu(lab: Lab, way: Way, name: str, units: float) -> Iterator[None]:
    """Processor seconds of the proxy for each unit of work."""
    before = _cpu_s(lab, way)
    yield
    if way.carrier:
        way.figures.setdefault(name, []).append((_cpu_s(lab, way) - before) / units)


def _cpu_s(lab: Lab, way: Way) -> float:
    if not way.carrier:
        return 0.0
    tasks = Path(f"/proc/{_carrier(lab, way).pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _carrier(lab: Lab, way: Way) -> memory.Process:
    return memory.find(lab, PROXY_NODE, way.carrier)


def _settle(figures: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in figures.items()}


# --- what is needed ------------------------------------------------------------------------------


@contextlib.contextmanager
def _pod(lab: Lab) -> Iterator[str]:
    """The Service and its pod, served by node1. Yields the pod's address."""
    pod = _plan_pod()
    for obj in (SERVICE, pod):
        lab.apply(obj)
    try:
        lab.api.wait_for(
            resources.PODS, [NAME], api.lacks_readiness, namespace="default", timeout_s=30
        )
        probing.wait_until_served(lab.pool, [PROXY_NODE], f"default/{NAME}", timeout_s=30)
        yield lab.get("pods", NAME).objects[0]["status"]["podIP"]
    finally:
        lab.delete("service", NAME)
        lab.delete("pod", NAME)


def _plan_pod() -> resources.Object:
    program = Path(__file__).with_name("backend.py").read_text()
    container = {
        "name": NAME,
        "image": "labkit/host",
        "command": [*RAISE_LIMIT, "/usr/bin/python3", "-c", program, str(PORT)],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "nodeName": POD_NODE,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


@contextlib.contextmanager
def _rivals(lab: Lab, pod_ip: str) -> Iterator[dict[str, str]]:
    """HAProxy and socat on node1, where they are installed. Yields names and patterns."""
    if not (shutil.which("haproxy") and shutil.which("socat")):
        yield {}
        return
    config = HAPROXY.format(port=PORT, pod=pod_ip, idle=IDLE + 100)
    script = START.format(port=PORT, pod=pod_ip)
    pids = lab.exec(PROXY_NODE, ["sh", "-c", script, "sh", config]).stdout.split()
    try:
        lab.exec(PROXY_NODE, ["sh", "-c", f"until ss -Hltn | grep -q :{PORT}; do :; done"])
        yield {"HAProxy": r"^haproxy -db"}
    finally:
        lab.exec(PROXY_NODE, ["kill", *pids])
