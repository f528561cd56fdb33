"""The agent as a program, in a network of its own, with the kernel's real rules."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.agent import kernel
from labkit.model import portals, rules, ruletext
from tests.netns import isolation
from tests.netns.isolation import isolated, run
from tests.unit.agent import fakes

GOLDEN = Path(__file__).parents[1] / "cases" / "golden"
SETS = sorted(path.name for path in GOLDEN.iterdir())
NODE_IP = "192.168.56.11"
PORT = re.compile(r"\b\d{4,5}\b")
KUBERNETES: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]},
}
FOREIGN = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*filter
-A INPUT -s 198.51.100.7/32 -m comment --comment "not ours" -j DROP
COMMIT
"""


class Node:
    """A network with one outside interface, an API server, and agents that are started in it."""

    def __init__(self) -> None:
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
        for link in ("eth0", "wire"):
            run("ip", "link", "set", link, "up")
        run("ip", "address", "add", f"{NODE_IP}/24", "dev", "eth0")
        run("ip", "route", "add", "default", "dev", "eth0")
        self.api = fakes.FakeApi()
        self.kubeconfig = Path("/run/kube-proxy.kubeconfig")
        self.kubeconfig.write_text(self.api.kubeconfig)

    @contextlib.contextmanager
    def agent(self, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
        argv = [sys.executable, "-m", "labkit.agent", "--kubeconfig", str(self.kubeconfig), *flags]
        process = subprocess.Popen(argv, cwd=Path(__file__).parents[2])
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                assert process.wait(10) == 0

    def ruleset(self) -> rules.Ruleset:
        return ruletext.parse_ruleset(run("iptables-save", "-c"))

    def await_rules(self, condition: Callable[[rules.Ruleset], object]) -> rules.Ruleset:
        """Look at the rules until they are as they should be: nobody tells when they change."""
        deadline = time.monotonic() + 10
        while not condition(found := self.ruleset()):
            assert time.monotonic() < deadline, ruletext.render_ruleset(found)
        return found


def service(name: str, ip: str, protocol: str = "TCP", **port: Any) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": ip, "ports": [{"port": 80, "protocol": protocol, **port}]},
    }


def endpoints(name: str, port: int, ip: str = NODE_IP) -> dict[str, Any]:
    return {
        "kind": "Endpoints",
        "metadata": {"name": name, "namespace": "default"},
        "subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": port}]}],
    }


def comments(ruleset: rules.Ruleset, chain: str = "KUBE-PORTALS-HOST") -> list[str]:
    return [rule.comment for rule in ruleset.rules("nat", chain)]


def normalised(ruleset: rules.Ruleset) -> dict[tuple[str, str, str], list[str]]:
    """Rules by table, chain and service port, each proxy port replaced by that name."""
    proxy_ports = {
        port: rule.comment
        for chain in portals.CHAINS
        for rule in ruleset.rules(chain.table, chain.name)
        if (port := rule.value("--to-ports"))
    }
    found = defaultdict(list)
    for table in ruleset.tables:
        for chain in table.chains:
            for rule in chain.rules:
                spec = PORT.sub(lambda port: proxy_ports.get(port[0], port[0]), rule.spec)
                found[table.name, chain.name, rule.comment].append(spec)
    return found


@pytest.mark.parametrize("name", SETS)
def test_US_20_to_US_28_the_kernel_holds_what_kube_proxy_wrote(name: str) -> None:
    def body() -> None:
        expected = ruletext.parse_ruleset((GOLDEN / name / "userspace.rules").read_text())
        node = Node()
        node.api.put(KUBERNETES)
        for obj in yaml.safe_load_all((GOLDEN / name / "objects.yaml").read_text()):
            if obj and "service.kubernetes.io/service-proxy-name" not in obj["metadata"].get(
                "labels", {}
            ):  # which the API server leaves out, because the selector asks it to
                node.api.put(obj)
        with node.agent():
            written = node.await_rules(lambda found: len(comments(found)) >= 2)
        assert normalised(written) == normalised(expected)
        assert node.api.selectors == {
            "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
        }

    isolation.run_isolated(body)


@isolated
def test_other_people_s_rules_stay_and_cleanup_removes_only_ours() -> None:
    node = Node()
    run("iptables-restore", "--noflush", stdin=FOREIGN)
    before = run("iptables-save").splitlines()
    node.api.put(service("app1", "10.96.20.1", nodePort=30062))
    with node.agent():
        node.await_rules(comments)
    foreign = [line for line in run("iptables-save").splitlines() if "KUBE-" not in line]
    assert _without_dates(foreign) == _without_dates(before)
    cleanup = [sys.executable, "-m", "labkit.agent", "--cleanup"]
    for _ in range(2):
        run(*cleanup)
        assert _without_dates(run("iptables-save").splitlines()) == _without_dates(before)


def _without_dates(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


@isolated
def test_US_71_flushed_and_reordered_rules_come_back() -> None:
    node = Node()
    node.api.put(service("app1", "10.96.20.1", nodePort=30062))
    with node.agent("--iptables-sync-period=200ms", "--iptables-min-sync-period=0"):
        wanted = normalised(node.await_rules(comments))
        run("iptables", "-t", "nat", "-F")
        node.await_rules(lambda found: normalised(found) == wanted)
        jump = portals.CHAINS[0].jump
        with_words = jump.spec.replace('"', "").split(" -j ")
        run("iptables", "-t", "nat", "-D", "PREROUTING", "1")
        comment = with_words[0].removeprefix("-m comment --comment ")
        run(
            *("iptables", "-t", "nat", "-A", "PREROUTING", "-m", "comment", "--comment", comment),
            *("-j", with_words[1]),
        )
        node.await_rules(lambda found: found.rules("nat", "PREROUTING")[0] == jump)


@isolated
def test_US_71_after_a_full_flush_nobody_waits_for_the_sync_period() -> None:
    """One rule less is noticed at the next periodic sync; no rule at all, at once."""
    node = Node()
    node.api.put(service("app1", "10.96.20.1", nodePort=30062))
    with node.agent("--iptables-sync-period=1h"):
        wanted = normalised(node.await_rules(comments))
        run("iptables", "-t", "nat", "-F")
        node.await_rules(lambda found: normalised(found) == wanted)
        run("sh", "-c", r"printf '*nat\nCOMMIT\n' | iptables-restore")  # the chains go as well
        node.await_rules(lambda found: normalised(found) == wanted)


@isolated
def test_while_nobody_changes_rules_a_sync_runs_no_program() -> None:
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent("--iptables-sync-period=50ms", "--iptables-min-sync-period=0") as process:
        node.await_rules(comments)
        _await_syncs(3)  # the last of them follows the change, and knows what that left
        before = _faults_of_children(process)
        _await_syncs(10)
        assert _faults_of_children(process) == before
        run("iptables", "-A", "OUTPUT", "-j", "ACCEPT")
        _await_syncs(3)
        assert _faults_of_children(process) > before


def _await_syncs(count: int) -> None:
    """Wait for so many more."""
    last = _syncs() + count
    deadline = time.monotonic() + 20
    while _syncs() < last:
        assert time.monotonic() < deadline


def _syncs() -> int:
    with urllib.request.urlopen("http://127.0.0.1:10249/metrics") as answer:
        text = answer.read().decode()
    [value] = re.findall(r"^labkit_proxy_syncs_total (\d+)$", text, re.MULTILINE)
    return int(value)


def _faults_of_children(process: subprocess.Popen[bytes]) -> int:
    """Page faults of programs that it ran and that have ended: no program runs without some."""
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[8])


@isolated
def test_an_idle_agent_sleeps_until_the_next_sync() -> None:
    """Every thread that waits gives up the processor once; one that polls does so again."""
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent() as agent:
        node.await_rules(comments)
        deadline = time.monotonic() + 10
        while (before := _waits(agent.pid)) != _waits_after(agent, 0.5):
            assert time.monotonic() < deadline, "it never comes to rest"
        assert _waits_after(agent, 2.0) == before


def _waits_after(agent: subprocess.Popen[bytes], seconds: float) -> dict[str, int]:
    """So much later, if the agent does not end meanwhile, as it should not."""
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(seconds)
    return _waits(agent.pid)


def _waits(pid: int) -> dict[str, int]:
    """How often each thread has given up the processor of its own will."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            lines = (task / "status").read_text().splitlines()
            status = dict(line.split(":", 1) for line in lines)
            found[task.name] = int(status["voluntary_ctxt_switches"])
    return found


@isolated
def test_a_Service_more_leaves_the_others_counters_alone() -> None:
    node = Node()
    with fakes.tcp_pod(lambda pod: pod.sendall(b"ok"), NODE_IP) as port:
        node.api.put(service("app1", "10.96.20.1"))
        node.api.put(endpoints("app1", port))
        with node.agent():
            node.await_rules(comments)
            assert _hear(("10.96.20.1", 80)) == b"ok"
            node.api.put(service("app2", "10.96.20.2"))
            found = node.await_rules(lambda found: len(comments(found)) == 2)
    [counters] = [
        rule.counters
        for rule in found.rules("nat", "KUBE-PORTALS-HOST")
        if rule.comment == "default/app1"
    ]
    assert counters is not None
    assert counters.packets == 1


@isolated
def test_S_9_rules_stay_over_a_restart_until_one_batch_replaces_them() -> None:
    """kube-proxy flushed its chains when it started, and every Service was dark (US-23)."""
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent() as process:
        first = node.await_rules(comments).rules("nat", "KUBE-PORTALS-HOST")
        process.kill()
        process.wait()
    assert node.ruleset().rules("nat", "KUBE-PORTALS-HOST") == first
    with node.agent():
        second = node.await_rules(
            lambda found: found.rules("nat", "KUBE-PORTALS-HOST") not in ((), first)
        )
    assert len(second.rules("nat", "KUBE-PORTALS-HOST")) == 1


@isolated
def test_US_72_a_stopped_agent_leaves_its_rules() -> None:
    node = Node()
    node.api.put(service("app1", "10.96.20.1"))
    with node.agent():
        written = node.await_rules(comments)
    assert normalised(node.ruleset()) == normalised(written)


@isolated
def test_the_agent_waits_for_its_API_server() -> None:
    node = Node()
    port = int(node.api.kubeconfig.split("127.0.0.1:")[1].split('"')[0])
    node.api.close()
    with node.agent():
        _await_listener(10256)
        node.api = fakes.FakeApi(port)
        node.api.put(service("app1", "10.96.20.1"))
        node.await_rules(comments)


@isolated
def test_US_27_the_node_reaches_clusterIP_and_nodePort_also_by_127_0_0_1() -> None:
    node = Node()
    with fakes.tcp_pod(lambda pod: pod.sendall(b"ok"), NODE_IP) as port:
        node.api.put(service("app1", "10.96.20.1", nodePort=30062))
        node.api.put(endpoints("app1", port))
        with node.agent():
            node.await_rules(comments)
            for address in (("10.96.20.1", 80), (NODE_IP, 30062), ("127.0.0.1", 30062)):
                assert _hear(address) == b"ok"


@isolated
def test_S_16_UDP_replies_come_from_the_address_that_was_asked() -> None:
    """To 127.0.0.1:nodePort kube-proxy's replies came from another port (US-27)."""
    node = Node()
    pod = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    pod.bind((NODE_IP, 0))
    threading.Thread(target=_answer_datagrams, args=(pod,), daemon=True).start()
    node.api.put(service("dns", "10.96.20.1", "UDP", nodePort=30053))
    node.api.put(endpoints("dns", pod.getsockname()[1]))
    with node.agent():
        node.await_rules(comments)
        for address in (("10.96.20.1", 80), (NODE_IP, 30053), ("127.0.0.1", 30053)):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                client.connect(address)  # so that the kernel drops replies from elsewhere
                client.send(b"question")
                assert client.recv(100) == b"QUESTION"


@isolated
def test_US_70_a_UDP_Service_that_is_deleted_leaves_no_flows() -> None:
    node = Node()
    node.api.put(service("dns", "10.96.20.1", "UDP"))
    with node.agent():
        node.await_rules(comments)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", ("10.96.20.1", 80))
        assert "dst=10.96.20.1" in run("conntrack", "-L", "-p", "udp")
        node.api.remove(service("dns", "10.96.20.1", "UDP"))
        deadline = time.monotonic() + 5
        while "dst=10.96.20.1" in run("conntrack", "-L", "-p", "udp"):
            assert time.monotonic() < deadline


@isolated
def test_S_23_a_UDP_client_is_led_to_who_serves_now() -> None:
    """Each from one port all the time: who asked too early, and who asked the agent that died."""
    node = Node()
    run("ip", "address", "add", "10.244.1.7/32", "dev", "lo")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(fakes.udp_pod("10.244.1.7"))
        portals = [("10.96.20.1", 80), (NODE_IP, 30053), ("127.0.0.1", 30053)]
        clients = [stack.enter_context(fakes.udp_client(each)) for each in portals]
        for client in clients:
            with contextlib.suppress(ConnectionRefusedError):
                client.send(b"too early")
        node.api.put(service("dns", "10.96.20.1", "UDP", nodePort=30053))
        node.api.put(endpoints("dns", port, "10.244.1.7"))
        for _ in range(2):
            with node.agent() as agent:
                for client in clients:
                    fakes.ask_until_answered(client, 10)
                agent.kill()
                agent.wait()
        other = stack.enter_context(fakes.udp_client((NODE_IP, port)))
        other.send(b"of nobody's Service")
        with node.agent():
            for client in clients:
                fakes.ask_until_answered(client, 10)
            node.api.remove(service("dns", "10.96.20.1", "UDP", nodePort=30053))
            node.await_rules(lambda found: not comments(found))
            deadline = time.monotonic() + 5
            while "port=30053" in run("conntrack", "-L", "-p", "udp"):
                assert time.monotonic() < deadline
        assert f"dport={port}" in run("conntrack", "-L", "-p", "udp"), "this one is not ours"


@isolated
def test_random_batches_leave_the_kernel_as_planned() -> None:
    """What hypothesis checks against a model, here against iptables-restore itself."""
    import random

    dice = random.Random(1)
    real = kernel.Kernel()
    for _ in range(15):
        wanted = {
            chain.name: [
                rules.Rule(chain.name, f"-d 10.96.0.{n}/32 -p tcp -m tcp --dport {n} -j RETURN")
                for n in dice.sample(range(1, 12), dice.randrange(11))
            ]
            for chain in portals.CHAINS
        }
        real.apply(wanted)
        found = real.save()
        for chain in portals.CHAINS:
            assert found.rules(chain.table, chain.name) == tuple(wanted[chain.name])
        assert not real.apply(wanted)
    assert real.clean_up()
    assert not real.clean_up()


@isolated
def test_a_thousand_Services_are_one_batch() -> None:
    node = Node()
    for n in range(1000):
        node.api.put(service(f"app{n}", f"10.96.{n // 250}.{n % 250 + 1}"))
    with node.agent():
        node.await_rules(lambda found: len(comments(found)) == 1000)


def _hear(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=5) as client:
        return client.recv(100)


def _answer_datagrams(pod: socket.socket) -> None:
    while True:
        data, client = pod.recvfrom(65535)
        pod.sendto(data.upper(), client)


def _await_listener(port: int) -> None:
    deadline = time.monotonic() + 5
    while f":{port} " not in run("ss", "-Hltn"):
        assert time.monotonic() < deadline


def test_without_a_default_route_the_agent_asks_for_its_address() -> None:
    def body() -> None:
        Path("/run/kubeconfig").write_text(fakes.FakeApi().kubeconfig)
        argv = [sys.executable, "-m", "labkit.agent", "--kubeconfig", "/run/kubeconfig"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 2
        assert "--node-ip=192.168.56.11" in done.stderr

    isolation.run_isolated(body)
