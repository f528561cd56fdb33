"""What real nodes printed, and the objects it belongs to.

`tests/cases/inspection` was recorded on a node in network namespaces: rules of a real kube-proxy,
a listener in its place, and between `before` and `after` one real request through each way that
the node catches (node1: ways 1, 2, 4 and 5; node2: way 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from labkit import errors
from labkit.inspection import collect
from labkit.model import commands, resources, spec

CASES = Path(__file__).parents[2] / "cases" / "inspection"
LAB = spec.plan()

Result = TypeVar("Result")


def look(name: str) -> str:
    return (CASES / f"{name}.txt").read_text()


def state(node: str, name: str) -> collect.NodeState:
    return collect.parse_look(LAB.node(node), look(name))


def edited(node: str, name: str, *changes: tuple[str, str]) -> collect.NodeState:
    """A recorded node to which something happened: each change replaces a text that is there."""
    text = look(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return collect.parse_look(LAB.node(node), text)


def service(**spec: Any) -> resources.Object:
    wanted = {
        "type": "NodePort",
        "clusterIP": "10.96.20.1",
        "ports": [{"port": 8080, "protocol": "TCP", "targetPort": 8080, "nodePort": 30062}],
        "selector": {"name": "app1"},
    }
    return {
        "metadata": {"name": "app1", "namespace": "default"},
        "spec": {key: value for key, value in {**wanted, **spec}.items() if value is not None},
    }


def pod(name: str, node: str, address: str, **changes: Any) -> resources.Object:
    """A pod that runs and is ready; `changes` replace its status."""
    status = {
        "phase": "Running",
        "podIP": address,
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"name": "app1"}},
        "spec": {"nodeName": node},
        "status": {**status, **changes},
    }


PODS = (
    pod("app1-a", "node1", "10.244.1.2"),
    pod("app1-b", "node2", "10.244.2.2"),
    pod("app1-c", "node2", "10.244.2.3"),
)


def endpoints(
    ready: Sequence[resources.Object] = PODS,
    not_ready: Sequence[resources.Object] = (),
    port: int = 8080,
    port_name: str = "",
) -> resources.Object:
    """What the endpoints controller writes for these pods."""
    subset = {
        "addresses": [_address(one) for one in ready],
        "notReadyAddresses": [_address(one) for one in not_ready],
        "ports": [{"port": port, "protocol": "TCP", **({"name": port_name} if port_name else {})}],
    }
    return {"metadata": {"name": "app1", "namespace": "default"}, "subsets": [subset]}


def _address(one: resources.Object) -> resources.Object:
    reference = {"kind": "Pod", "name": one["metadata"]["name"], "namespace": "default"}
    return {
        "ip": one["status"]["podIP"],
        "nodeName": one["spec"]["nodeName"],
        "targetRef": reference,
    }


class FakeConnection:
    """A node that answers each command from a script, in order, and remembers what it ran."""

    def __init__(self, name: str, answers: Iterable[commands.Command | Exception]) -> None:
        self.name = name
        self.ran: list[tuple[str, ...]] = []
        self._answers = iter(answers)

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30, check: bool = True
    ) -> commands.Command:
        self.ran.append(tuple(argv))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        assert not check
        return answer

    def script(self, text: str, *, check: bool = True) -> commands.Command:
        return self.run(("sh", "-c", text), check=check)


class FakePool:
    """The pool's `map`, one node after the other."""

    def __init__(self, answers: Mapping[str, Iterable[commands.Command | Exception]]) -> None:
        self.connections = {name: FakeConnection(name, each) for name, each in answers.items()}

    def map(
        self, names: Iterable[str], func: Callable[[collect.Connection], Result]
    ) -> dict[str, Result]:
        return {name: func(self.connections[name]) for name in names}


def printed(stdout: str, *, exit_status: int = 0, stderr: str = "") -> commands.Command:
    return commands.Command((), exit_status, stdout, stderr)


def unreachable(node: str) -> errors.ConnectionFailed:
    return errors.ConnectionFailed("sshd does not answer", node=node)
