"""type: LoadBalancer in a real lab: an address that every machine reaches, wherever it is."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from labkit import errors, lab
from labkit.deploy import services
from labkit.model import example, resources

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

NAME = "balanced"
SERVICE: resources.Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": NAME, "namespace": "default"},
    "spec": {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "ports": [{"port": 80, "targetPort": 8080}],
        "selector": {"name": example.NAME},
    },
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead node is noticed after 16 s, and not after 40."""

    def with_flag(plan: Callable[..., services.Unit], flag: str) -> Callable[..., services.Unit]:
        def planned(*words: Any) -> services.Unit:
            unit = plan(*words)
            return replace(unit, argv=(*unit.argv, flag))

        return planned

    for name, flag in (
        ("plan_api_server", "--node-monitor-grace-period=16s"),
        ("plan_podlet", "--node-lease-duration-seconds=16"),
    ):
        monkeypatch.setattr(services, name, with_flag(getattr(services, name), flag))


@pytest.fixture
def opened(opened: lab.Lab) -> lab.Lab:
    opened.up()
    return opened


def eventually(what: Callable[[], Any], *, within_s: float = 20) -> Any:
    """Ask again until the answer is true. Refusals on the way are part of it."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(errors.LabkitError):
            if found := what():
                return found
        assert time.monotonic() < deadline, f"never true: {what}"


def address(opened: lab.Lab, name: str = NAME) -> str:
    (service,) = opened.get("svc", name).objects
    ingress = service["status"]["loadBalancer"].get("ingress") or [{}]
    return str(ingress[0].get("ip", ""))


def ask(opened: lab.Lab, machine: str, url: str, *prefix: str) -> dict[str, Any]:
    """What the pod says that answered."""
    curl = ("curl", "-sS", "--noproxy", "*", "--max-time", "3", url)
    done = opened.exec(machine, [*prefix, *curl])
    assert done.exit_status == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def works(opened: lab.Lab, machine: str, url: str) -> bool:
    curl = ("curl", "-sS", "--noproxy", "*", "--max-time", "2", url)
    return bool(opened.exec(machine, curl).exit_status == 0)


def routes(opened: lab.Lab, node: str) -> str:
    return str(opened.exec(node, ["ip", "route", "show", "table", "local", "proto", "77"]).stdout)


def rules(opened: lab.Lab, node: str) -> str:
    return str(opened.exec(node, ["iptables-save", "-t", "nat"]).stdout)


def announcer(opened: lab.Lab, ip: str) -> str:
    """The node that answers for the address; empty while there is none, or more than one."""
    found = [node.name for node in opened.spec.cluster if ip in routes(opened, node.name)]
    return found[0] if len(found) == 1 else ""


def test_the_address_is_reached_from_everywhere_and_nothing_of_it_stays(opened: lab.Lab) -> None:
    opened.apply(SERVICE)
    ip = eventually(lambda: address(opened))
    assert ip == "192.168.56.200"
    url = f"http://{ip}/"
    eventually(lambda: works(opened, "client", url))
    home = announcer(opened, ip)
    assert home in ("node1", "node2")
    for machine in ("client", "control", "node1", "node2"):
        assert ask(opened, machine, url)["pod"].startswith(example.NAME)
    for pod in opened.get("pod").objects:
        netns = f"default_{pod['metadata']['name']}"
        inside = ("ip", "netns", "exec", netns)
        assert ask(opened, pod["spec"]["nodeName"], url, *inside)["pod"].startswith(example.NAME)
    neighbour = opened.exec("client", ["ip", "neigh", "show", ip]).stdout
    node = opened.spec.node(home)
    assert "02:00:" + ":".join(f"{byte:02x}" for byte in node.address.packed) in neighbour
    opened.delete("svc", NAME)
    nodes = [node.name for node in opened.spec.cluster]
    eventually(lambda: not any(routes(opened, name) for name in nodes))
    eventually(lambda: not any(ip in rules(opened, name) for name in nodes))
    assert not works(opened, "client", url)


def test_it_moves_when_its_node_dies_and_stays_when_that_comes_back(
    quick: None, opened: lab.Lab
) -> None:
    opened.apply(SERVICE)
    url = f"http://{eventually(lambda: address(opened))}/"
    eventually(lambda: works(opened, "client", url))
    ip = address(opened)
    first = announcer(opened, ip)
    opened.provider.stop([first])
    eventually(lambda: works(opened, "client", url), within_s=60)
    (node,) = opened.get("node", first).objects
    ready = next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
    assert ready["reason"] == "NodeStatusUnknown"
    assert {taint["key"] for taint in node["spec"]["taints"]} == {"node.kubernetes.io/unreachable"}
    opened.up()
    eventually(lambda: announcer(opened, ip) not in ("", first))
    assert works(opened, "client", url)
    (node,) = opened.get("node", first).objects
    assert "taints" not in node["spec"]
