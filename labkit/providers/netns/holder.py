"""The process that owns a lab's namespaces: PID 1 of the lab, and the way into its network.

It is started in fresh net, mount and pid namespaces (and a user namespace when the learner is not
root) and stays while the lab runs, whatever becomes of the command line or the notebook's kernel
that started it. It answers `labkit.providers.netns.wire` requests:

    ensure    {nodes: [...]}    start those that do not run; replies when their sshd answers
    status                      which machines run
    stop      {names: [...]}    end machines
    connect   {host, port}      a connected socket, made inside the lab's network
    shutdown                    end everything

Standard library only, and little of it: this process is part of what a lab costs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.providers.netns import view, wire

BRIDGE = "lab0"
NODE_PROGRAM = Path(__file__).with_name("node.sh")

#: A node inside the lab answers a connection at once or not at all.
CONNECT_TIMEOUT_S = 3.0


@dataclass(slots=True)
class Node:
    """A machine that was started. `process` is the `unshare` that waits for its PID 1."""

    name: str
    process: subprocess.Popen[str]

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """Kill its PID 1, and with it all it runs; returns when nothing of it is left."""
        waiter = self.process.pid
        with contextlib.suppress(OSError):
            inside = Path(f"/proc/{waiter}/task/{waiter}/children").read_text().split()
            for pid in inside or [str(waiter)]:
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


class Holder:
    """Owns the nodes. Requests come on threads; one lock orders what changes nodes."""

    def __init__(self, network: str, own_address: str) -> None:
        self._prefix = network.rpartition("/")[2]
        self._own_address = own_address
        self._nodes: dict[str, Node] = {}
        self._names: dict[str, str] = {}  # by address, also of machines that are stopped
        self._lock = threading.Lock()

    def make_network(self) -> None:
        """Make the lab's own switch, with the learner's machine as its first address.

        Forwarding is on only so that a packet for nowhere is answered by "unreachable" at once.
        """
        _ip(
            f"link add {BRIDGE} type bridge",
            f"address add {self._own_address}/{self._prefix} dev {BRIDGE}",
            f"link set {BRIDGE} up",
            "link set lo up",
        )
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def answer(self, request: wire.Message) -> tuple[wire.Message, list[int]]:
        operation = request["op"]
        if operation == "connect":
            return self._connect(request["host"], request["port"])
        with self._lock:
            if operation == "ensure":
                return self._ensure(request["nodes"]), []
            if operation == "stop":
                return self._stop(request["names"]), []
            return {"nodes": {node.name: node.running for node in self._nodes.values()}}, []

    def _ensure(self, wanted: Sequence[wire.Message]) -> wire.Message:
        """Start what does not run, all side by side; then wait for each one's `ready`.

        A machine that is not wanted any more is ended.
        """
        names = {spec["name"] for spec in wanted}
        self._stop([name for name in self._nodes if name not in names])
        missing = [spec for spec in wanted if not self._runs(spec["name"])]
        self._stop([spec["name"] for spec in missing])
        started = [self._start(spec) for spec in missing]
        failed = {}
        for node in started:
            assert node.process.stdout
            said = node.process.stdout.readline().strip()
            if said != "ready":
                rest = node.process.stdout.read()
                failed[node.name] = f"{said}\n{rest}".strip() or "ended without a word"
        self._stop(list(failed))
        return {"started": [node.name for node in started], "failed": failed}

    def _runs(self, name: str) -> bool:
        return name in self._nodes and self._nodes[name].running

    def _start(self, spec: wire.Message) -> Node:
        name = spec["name"]
        _wire_up(name, spec["address"], self._prefix, self._own_address)
        process = subprocess.Popen(
            [
                *("nsenter", f"--net={view.NETNS / name}"),
                *("unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"),
                *("sh", str(view.RUN / NODE_PROGRAM.name), name, str(view.DISKS / name)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        node = Node(name, process)
        self._nodes[name] = node
        self._names[spec["address"]] = name
        return node

    def _stop(self, names: Sequence[str]) -> wire.Message:
        for name in names:
            if node := self._nodes.pop(name, None):
                node.end()
            _unplug(name)
        return {}

    def _connect(self, host: str, port: int) -> tuple[wire.Message, list[int]]:
        name = self._names.get(host)
        if name and not self._runs(name):
            return {"error": f"{name} is not running"}, []
        try:
            sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            return {"error": f"{host} port {port}: {error.strerror or error}"}, []
        sock.settimeout(None)
        return {}, [sock.detach()]


def _wire_up(name: str, address: str, prefix: str, gateway: str) -> None:
    """Make the machine's net namespace and plug its eth0 into the lab's switch.

    The MAC belongs to the address: neighbours of a machine that was restarted know it already.
    """
    mac = "02:00:" + ":".join(f"{int(byte):02x}" for byte in address.split("."))
    _ip(
        f"netns add {name}",
        f"link add {name} type veth peer name eth0 address {mac} netns {name}",
        f"link set {name} master {BRIDGE} up",
    )
    _ip(
        "link set lo up",
        f"address add {address}/{prefix} dev eth0",
        "link set eth0 up",
        f"route add default via {gateway}",
        netns=name,
    )


def _unplug(name: str) -> None:
    """Undo `_wire_up`, however far it came.

    The cable goes first: the kernel takes its time with a namespace, and frees the name only then.
    """
    for line in (f"link delete {name}", f"netns delete {name}"):
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip(line)


def _ip(*lines: str, netns: str = "") -> None:
    """Run a batch of `ip` commands in one process. Raises CalledProcessError with what it said."""
    where = ["-netns", netns] if netns else []
    subprocess.run(
        ["ip", *where, "-batch", "-"],
        input="\n".join(lines),
        text=True,
        check=True,
        capture_output=True,
    )


def _serve_one(client: socket.socket, holder: Holder) -> None:
    with contextlib.suppress(OSError, EOFError), client:
        if wire.peer(client)[1] != os.getuid():
            return
        request, _ = wire.receive(client)
        if request["op"] == "shutdown":
            wire.send(client, {})
            os._exit(0)  # there is nothing to tidy: the kernel ends all that a PID 1 leaves
        _reply(client, holder, request)


def _reply(client: socket.socket, holder: Holder, request: wire.Message) -> None:
    fds: list[int] = []
    try:
        message, fds = holder.answer(request)
    except subprocess.CalledProcessError as error:
        message = {"error": f"`{' '.join(error.cmd)}`: {(error.stderr or '').strip()}"}
    except OSError as error:
        message = {"error": str(error)}
    try:
        wire.send(client, message, fds)
    finally:
        for fd in fds:
            os.close(fd)


def main(argv: Sequence[str]) -> int:
    """`holder SOCKET DISKS NETWORK OWN_ADDRESS`; says `ready` on stdout when it can be asked."""
    path, disks, network, own_address = argv
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    holder = Holder(network, own_address)
    program = NODE_PROGRAM.read_text()
    view.shape(Path(disks))
    (view.RUN / NODE_PROGRAM.name).write_text(program)
    holder.make_network()
    os.write(1, b"ready\n")
    os.dup2(0, 1)  # whoever waits for `ready` sees the end of the pipe; 0 is /dev/null
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(client, holder), daemon=True).start()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
