"""One kind of request to a Service: the machine that sends it, and the command that does.

TCP is asked by curl, a new connection for each request. UDP is asked by a few lines of Python,
because no Debian machine has a program for it that one could count on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit import errors
from labkit.inspection import collect, ways
from labkit.inspection.predict import asking
from labkit.model import commands, resources, spec

#: Between the answers of several requests, on a line of its own.
MARK = "--- labkit answer"
MOST = 1000

_UDP = """\
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("", {source})); s.settimeout({timeout}); s.connect(("{address}", {port}))
    begun = time.monotonic()
    s.send(b"probe"); answer = s.recv(65536).decode()
    print(answer); print(time.monotonic() - begun, s.getsockname()[0])
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is sent `count` times. `pod` (`namespace/name`): from within that pod's network.

    `source_port` is the sender's own; 0 leaves it to the kernel, as it has to be for several.
    """

    service: str
    sender: str
    machine: str
    pod: str
    protocol: str
    address: str
    port: int
    count: int
    source_port: int = 0

    @property
    def dialled(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def line(self) -> str:
        """One request, as one would type it on the learner's own machine."""
        return commands.Command(self.within(self._typed), node=self.machine).line

    @property
    def argv(self) -> tuple[str, ...]:
        """All requests in one command, one after the other, each answer under a mark."""
        if self.protocol == "UDP":
            one: tuple[str, ...] = self._typed
        else:
            one = (*self._typed, "--write-out", ways.MEASURED + r"\n")
        loop = f'for _ in $(seq {self.count}); do echo "{MARK}"; "$@" 2>&1; echo "$?"; done'
        return self.within(("sh", "-c", loop, "sh", *one))

    @property
    def longest_s(self) -> float:
        """Seconds after which even the slowest of them has ended."""
        return float(self.count * ways.TIMEOUT_S)

    @property
    def _typed(self) -> tuple[str, ...]:
        if self.protocol == "UDP":
            text = _UDP.format(
                source=self.source_port,
                timeout=ways.TIMEOUT_S,
                address=self.address,
                port=self.port,
            )
            return ("python3", "-c", text)
        url = f"http://{self.dialled}/"
        own = ("--local-port", str(self.source_port)) if self.source_port else ()
        return ("curl", "-sS", "--noproxy", "*", "--max-time", str(ways.TIMEOUT_S), *own, url)

    def within(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command as it is run in the sender's network, which may be a pod's."""
        return ("ip", "netns", "exec", self.pod.replace("/", "_"), *argv) if self.pod else (*argv,)


def plan_shot(
    lab: spec.LabSpec,
    found: collect.Objects,
    request: asking.Request,
    count: int,
    *,
    source_port: int = 0,
) -> Shot:
    """Raises NothingMatched and UsageError for what cannot be dialled, or by nobody."""
    if not 1 <= count <= MOST:
        raise errors.UsageError(f"--count {count}: from 1 to {MOST}")
    port = asking.find_port(found.service, request)
    if port.protocol not in ("TCP", "UDP"):
        raise errors.NothingMatched(f"{port.name} speaks {port.protocol}, and no sender does")
    machine, pod = _sender(lab, found.pods, request)
    target = lab.node(request.node) if request.node else _nearest(lab, machine)
    settled = asking.settle(request, outside=not machine.in_cluster)
    address, number = asking.find_address(port, settled, target)
    name = pod.partition("/")[2]
    return Shot(
        str(port.name),
        f"pod {name} on {machine.name}" if name else machine.name,
        machine.name,
        pod,
        port.protocol,
        str(address),
        number,
        count,
        source_port,
    )


def _nearest(lab: spec.LabSpec, machine: spec.NodeSpec) -> spec.NodeSpec:
    """The node whose node port is meant where none is named."""
    return machine if machine.in_cluster else _first(lab)


def _first(lab: spec.LabSpec) -> spec.NodeSpec:
    return lab.workers[0] if lab.workers else lab.control


def _sender(
    lab: spec.LabSpec, pods: Sequence[resources.Object], request: asking.Request
) -> tuple[spec.NodeSpec, str]:
    """The machine, and the pod on it whose network is used; empty for the machine's own."""
    kind, _, name = request.sender.partition("/")
    outside = [node for node in lab.nodes if not node.in_cluster]
    match kind:
        case "":
            return _first(lab), ""
        case "node" if name:
            return lab.node(name), ""
        case "client" if outside and not name:
            return outside[0], ""
        case "pod" if name:
            return _pod(lab, pods, name, request)
    raise errors.UsageError(
        f"nobody to send is called {request.sender}", hint="client, node/NAME or pod/NAME"
    )


def _pod(
    lab: spec.LabSpec, pods: Sequence[resources.Object], name: str, request: asking.Request
) -> tuple[spec.NodeSpec, str]:
    for pod in pods:
        if pod["metadata"]["name"] == name and (pod.get("status") or {}).get("podIP"):
            own = "" if pod["spec"].get("hostNetwork") else resources.name_of(pod)
            return lab.node(pod["spec"]["nodeName"]), own
    raise errors.NothingMatched(
        f"no pod {name} runs in {request.namespace}", hint="`labkit get pods -o wide` lists them"
    )
