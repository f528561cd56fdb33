"""The stock kube-proxy on our API server, in a network of its own: the rules that it writes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.client import config
from labkit.model import rules, ruletext
from tests.contracts import apiserver
from tests.netns import isolation
from tests.netns.isolation import run
from tests.netns.test_agent import GOLDEN, NODE_IP, SETS, normalised
from tests.stock import proxy

pytestmark = [pytest.mark.stock, pytest.mark.timeout(900)]

#: Where the real API server was when the sets were recorded.
SERVER_IP = "192.168.56.19"
SERVER_FLAGS = (f"--advertise-address={SERVER_IP}", "--secure-port=6443")
MODES: tuple[proxy.Mode, ...] = ("userspace", "iptables")
_ANY_TIME_S = 30
#: It looks itself up, to learn whether it is an IPv4 node.
NODE = {
    "metadata": {"name": "node1"},
    "status": {"addresses": [{"type": "InternalIP", "address": NODE_IP}]},
}


class Node:
    """A network like node1's, our API server in it, and a stock kube-proxy that uses it."""

    def __init__(self, server: apiserver.Server, programs: Path, mode: proxy.Mode) -> None:
        self.server = server
        self._log = server.folder / "kube-proxy.log"
        kubeconfig = server.folder / "kube-proxy.kubeconfig"
        ca = (server.folder / "ca.crt").read_text()
        access = config.ClientConfig(f"https://127.0.0.1:{server.port}", ca, "proxy")
        kubeconfig.write_text(config.render_kubeconfig(access, user="proxy"))
        flags = proxy.flags(mode, str(kubeconfig), "node1")
        self.argv = [sys.executable, str(proxy.LAUNCHER), str(programs / "kube-proxy"), *flags]

    def put(self, obj: dict[str, Any]) -> None:
        plural = f"{obj['kind'].lower().rstrip('s')}s"
        path = f"/api/v1/namespaces/{obj['metadata']['namespace']}/{plural}"
        code, answer = self.server.request("POST", path, obj)
        assert code == 201, answer
        if "status" in obj:
            answer["status"] = obj["status"]
            code, answer = self.server.request(
                "PUT", f"{path}/{answer['metadata']['name']}/status", answer
            )
            assert code == 200, answer

    @contextlib.contextmanager
    def proxying(self) -> Iterator[None]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(self.argv, stdout=log, stderr=log)
        try:
            yield
            assert process.poll() is None, self.log()
        finally:
            process.terminate()
            process.wait(10)

    def log(self) -> str:
        return self._log.read_text()

    def await_rules(self, condition: Callable[[rules.Ruleset], object]) -> rules.Ruleset:
        """Look until they are as they should be: nobody tells when they change."""
        deadline = time.monotonic() + _ANY_TIME_S
        while True:
            found = ruletext.parse_ruleset(run("iptables-save", "-c"))
            if condition(found):
                return found
            assert time.monotonic() < deadline, ruletext.render_ruleset(found) + self.log()


def make_network() -> None:
    """node1's interface, with the server's address beside its own."""
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
    for link in ("eth0", "wire"):
        run("ip", "link", "set", link, "up")
    for address in (NODE_IP, SERVER_IP):
        run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    run("ip", "route", "add", "default", "dev", "eth0", "src", NODE_IP)


@contextlib.contextmanager
def prepared(folder: Path, programs: Path, mode: proxy.Mode) -> Iterator[Node]:
    make_network()
    with apiserver.running(folder, *SERVER_FLAGS) as server:
        code, answer = server.request("POST", "/api/v1/nodes", NODE)
        assert code == 201, answer
        yield Node(server, programs, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SETS)
def test_the_rules_are_those_that_it_wrote_on_a_stock_server(
    programs: Path, tmp_path: Path, mode: proxy.Mode, name: str
) -> None:
    expected = normalised(ruletext.parse_ruleset((GOLDEN / name / f"{mode}.rules").read_text()))

    def body() -> None:
        with prepared(tmp_path, programs, mode) as node:
            for obj in filter(
                None, yaml.safe_load_all((GOLDEN / name / "objects.yaml").read_text())
            ):
                node.put(obj)
            with node.proxying():
                node.await_rules(lambda found: normalised(found) == expected)
            assert proxy.complaints(node.log()) == []

    isolation.run_isolated(body)


@pytest.mark.parametrize("mode", MODES)
def test_it_goes_on_when_our_server_was_killed_and_is_back(
    programs: Path, tmp_path: Path, mode: proxy.Mode
) -> None:
    def body() -> None:
        with prepared(tmp_path, programs, mode) as node, node.proxying():
            node.await_rules(
                lambda found: "default/kubernetes:https" in ruletext.render_ruleset(found)
            )
            node.server.stop(kill=True)
            node.server.start(*SERVER_FLAGS)
            for obj in yaml.safe_load_all(
                (GOLDEN / "02-app1-nodeport" / "objects.yaml").read_text()
            ):
                node.put(obj)
            node.await_rules(lambda found: "default/app1" in ruletext.render_ruleset(found))

    isolation.run_isolated(body)
