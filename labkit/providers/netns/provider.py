"""The provider protocol over network namespaces."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from labkit import errors, paths
from labkit.model import events, spec
from labkit.providers import base
from labkit.providers.netns import disk, launch, record, wire
from labkit.ssh import endpoint

NOT_RUNNING = "the lab is not running"
START = "`labkit up` starts it"


class NetnsProvider(base.NoSnapshots):
    """The machines of one lab as namespaces, reached through the lab's holder process."""

    name = "netns"

    def __init__(
        self, lab: spec.LabSpec, where: paths.LabPaths, *, etc: Path = Path("/etc")
    ) -> None:
        self._lab = lab
        self._paths = where
        self._etc = etc

    def ensure(self, progress: events.Progress) -> tuple[str, ...]:
        return self._ensure(self._lab.nodes, progress)

    def start(self, names: Sequence[str], progress: events.Progress) -> tuple[str, ...]:
        running = {each.name for each in self.machines() if each.state == "running"}
        wanted = running | {self._lab.node(name).name for name in names}
        return self._ensure([node for node in self._lab.nodes if node.name in wanted], progress)

    def _ensure(
        self, wanted: Sequence[spec.NodeSpec], progress: events.Progress
    ) -> tuple[str, ...]:
        for node in wanted:
            disk.ensure_disk(
                self._disk(node.name), node, self._lab, self._authorized_key(), etc=self._etc
            )
        self._ensure_holder()
        progress.waiting("sshd on " + ", ".join(node.name for node in wanted))
        nodes = [{"name": node.name, "address": str(node.address)} for node in wanted]
        reply = self._ask({"op": "ensure", "nodes": nodes})
        for name, why in reply["failed"].items():
            raise errors.ProviderError(f"the machine did not start: {why}", node=name)
        return tuple(reply["started"])

    def machines(self) -> tuple[base.Machine, ...]:
        try:
            running = self._ask({"op": "status"})["nodes"]
        except errors.ProviderError:
            running = {}
        return tuple(self._machine(node.name, running) for node in self._lab.nodes)

    def stop(self, names: Sequence[str] = ()) -> None:
        if names:
            with contextlib.suppress(errors.ProviderError):  # nothing runs
                self._ask({"op": "stop", "names": list(names)})
            return
        launch.end(self._paths.holder_socket)
        self._end_lost_holder()
        shutil.rmtree(self._paths.runtime, ignore_errors=True)
        with contextlib.suppress(OSError):  # other labs run
            self._paths.runtime.parent.rmdir()

    def purge(self) -> None:
        self.stop()
        _remove(self._disks)

    def endpoint(self, name: str) -> endpoint.Endpoint:
        node = self._lab.node(name)
        return endpoint.Endpoint(
            name=name,
            host=str(node.address),
            port=22,
            user="root",
            host_key=disk.host_key(self._disk(name)),
            private_key=self._paths.private_key,
            dial=self.dial,
            proxy_command=self._proxy_command(),
        )

    def dial(self, host: str, port: int) -> socket.socket:
        request = {"op": "connect", "host": host, "port": port}
        try:
            reply, fds = wire.ask(str(self._paths.holder_socket), request)
        except (OSError, EOFError) as error:
            raise errors.ConnectionFailed(NOT_RUNNING, hint=START) from error
        if not fds:
            raise errors.ConnectionFailed(reply["error"], hint="`labkit up` mends the lab")
        return socket.socket(fileno=fds[0])

    def within(self, argv: Sequence[str]) -> tuple[str, ...]:
        pid = launch.holder_pid(self._paths.holder_socket)
        if not pid:
            raise errors.ProviderError(NOT_RUNNING, hint=START)
        return (*launch.plan_enter(pid, root=launch.is_root()), *argv)

    @property
    def _disks(self) -> Path:
        return self._paths.state / "nodes"

    def _disk(self, name: str) -> Path:
        return self._disks / name

    def _authorized_key(self) -> str:
        return self._paths.private_key.with_suffix(".pub").read_text().strip()

    def _proxy_command(self) -> str:
        program = [sys.executable, "-E", "-S", str(Path(wire.__file__))]
        return shlex.join([*program, str(self._paths.holder_socket)]) + " %h %p"

    def _machine(self, name: str, running: dict[str, bool]) -> base.Machine:
        if running.get(name):
            return base.Machine(name, "running")
        return base.Machine(name, "stopped" if disk.host_key(self._disk(name)) else "absent")

    def _ensure_holder(self) -> None:
        if launch.holder_pid(self._paths.holder_socket):
            return
        self._end_lost_holder()
        shutil.rmtree(self._paths.runtime, ignore_errors=True)
        self._paths.runtime.mkdir(parents=True, mode=0o700)
        launch.start(self._lab, self._paths.holder_socket, self._disks)
        record.write(self._record, launch.holder_pid(self._paths.holder_socket))

    def _end_lost_holder(self) -> None:
        """End a holder that runs and has lost its socket: nobody could ever ask it again."""
        if pid := record.read(self._record):
            launch.end_lost(pid)
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self._paths.state / "holder"

    def _ask(self, request: wire.Message) -> wire.Message:
        try:
            reply, _ = wire.ask(str(self._paths.holder_socket), request)
        except (OSError, EOFError) as error:
            raise errors.ProviderError(NOT_RUNNING, hint=START) from error
        if "error" in reply:
            raise errors.ProviderError(reply["error"], hint="`labkit down`, then `labkit up`")
        return reply


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        launch.remove_as_mapped_root(folder)
