"""The provider protocol over hosts that are there already.

The lab file may forget a host that still bears the lab's mark. Such a *former* host is called by
its address and port, as its name may be another's by now, until it has been given back.
"""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from labkit import errors, paths
from labkit.model import events, spec
from labkit.providers import base
from labkit.providers.ssh import checks, hostkeys, record, survey
from labkit.ssh import connection, pool
from labkit.ssh.endpoint import Dial, Endpoint

CONNECT_TIMEOUT_S = 5.0


class SshProvider(base.NoSnapshots, base.Borrowed):
    """The hosts of the lab file. They are switched on and off by whoever lends them."""

    name = "ssh"

    def __init__(
        self, lab: spec.LabSpec, where: paths.LabPaths, connect: Dial | None = None
    ) -> None:
        self._lab = lab
        self._paths = where
        self._hosts = {host.name: host for host in lab.hosts}
        self._connect = connect or _connect
        self._keys: dict[str, str] = {}

    def ensure(self, progress: events.Progress) -> tuple[str, ...]:
        """Check all hosts, then mark those that bear no mark yet; return these."""
        known = record.read(self._record)
        names = list(self._hosts)
        progress.waiting("what is on " + ", ".join(names))
        with pool.Pool(self.endpoint) as hosts:
            found = hosts.map(names, _look)
            checks.raise_findings(
                checks.plan_findings(self._lab, found, mark=known.mark, now=time.time())
            )
            # Remembered before it is done: after a crash in between, `down` looks at all of them.
            remembered = (*self._hosts.values(), *self._former(known).values())
            record.write(self._record, dataclasses.replace(known, hosts=remembered))
            new = tuple(name for name in names if not found[name].mark)
            hosts.map(new, lambda host: self._claim(host, known.mark))
        return new

    def start(self, names: Sequence[str], progress: events.Progress) -> tuple[str, ...]:  # noqa: ARG002
        raise self._no_power("start", names)

    def machines(self) -> tuple[base.Machine, ...]:
        held = self._held(record.read(self._record))
        return tuple(self._machine(node, held) for node in self._lab.machines)

    def held(self) -> tuple[str, ...]:
        known = record.read(self._record)
        return self._marked(known, self._held(known))

    def former(self) -> tuple[str, ...]:
        known = record.read(self._record)
        return self._marked(known, self._former(known))

    def give_back(self, names: Sequence[str]) -> None:
        """Make these hosts what they were; raises for those not reached."""
        known = record.read(self._record)
        with pool.Pool(self.endpoint) as hosts:
            text = _text("leave.sh")
            hosts.map(names, lambda host: host.script(text, args=[known.mark]))
        left = [host for name, host in self._held(known).items() if name not in names]
        if known.hosts:
            record.write(self._record, dataclasses.replace(known, hosts=tuple(left)))

    def stop(self, names: Sequence[str] = ()) -> None:
        """Give all hosts back, their settings as they were; raises for those not reached."""
        if names:
            raise self._no_power("stop", names)
        self.give_back(list(self._held(record.read(self._record))))

    def purge(self) -> None:
        self.stop()
        self._record.unlink(missing_ok=True)

    def endpoint(self, name: str) -> Endpoint:
        host = self._hosts.get(name) or self._former(record.read(self._record)).get(name)
        if host is None:
            host = self._hosts[self._lab.node(name).name]
        if name not in self._keys:
            self._keys[name] = hostkeys.find_host_key(host, Path("~/.ssh/known_hosts").expanduser())
        return Endpoint(
            name=name,
            host=host.address,
            port=host.port,
            user=host.user,
            host_key=self._keys[name],
            private_key=Path(host.key) if host.key else self._paths.private_key,
            dial=self.dial,
        )

    def dial(self, host: str, port: int) -> socket.socket:
        try:
            sock = self._connect(host, port)
        except OSError as error:
            raise errors.ConnectionFailed(
                f"{host} port {port}: {error.strerror or error}",
                hint="is the host switched on, and is there a way to it?",
                node=next((n for n, one in self._hosts.items() if one.address == host), ""),
            ) from error
        sock.settimeout(None)
        return sock

    def within(self, argv: Sequence[str]) -> tuple[str, ...]:
        return tuple(argv)

    def _claim(self, host: connection.Connection, mark: str) -> None:
        done = host.script(_text("claim.sh"), args=[mark, self._lab.name])
        if done.stdout.strip() != mark:
            raise errors.Busy(
                "another lab has marked this host just now", hint="`labkit up`", node=host.name
            )

    def _marked(self, known: record.Record, names: Collection[str]) -> tuple[str, ...]:
        """Those that answer and bear this lab's mark."""
        with pool.Pool(self.endpoint) as hosts:
            marks = hosts.map(names, _mark_if_reached)
        return tuple(name for name, mark in marks.items() if mark == known.mark)

    def _held(self, known: record.Record) -> dict[str, spec.HostSpec]:
        """All that are remembered: those of the lab file as it says, the former as they were."""
        places = {_place(host) for host in known.hosts}
        current = {name: host for name, host in self._hosts.items() if _place(host) in places}
        return current | self._former(known)

    def _former(self, known: record.Record) -> dict[str, spec.HostSpec]:
        current = {_place(host) for host in self._hosts.values()}
        return {_place(host): host for host in known.hosts if _place(host) not in current}

    def _machine(self, node: spec.NodeSpec, held: Collection[str]) -> base.Machine:
        if node.name not in held:
            return base.Machine(node.name, "absent")
        try:
            self.dial(self._hosts[node.name].address, self._hosts[node.name].port).close()
        except errors.ConnectionFailed as error:
            return base.Machine(node.name, "stopped", error.message)
        return base.Machine(node.name, "running")

    @property
    def _record(self) -> Path:
        return self._paths.state / "hosts.json"


def _place(host: spec.HostSpec) -> str:
    return f"{host.address}:{host.port}"


def _look(host: connection.Connection) -> survey.Survey:
    done = host.script(_text("probe.sh"), check=False)
    if "uid " not in done.stdout:
        who, why = host.endpoint.user, done.stderr.strip() or f"status {done.exit_status}"
        raise errors.NotSupported(
            f"{who} may not become root: {why}",
            hint=f'let {who} `sudo -n`, or say user = "root"',
            node=host.name,
        )
    return survey.parse_survey(done.stdout)


def _mark_if_reached(host: connection.Connection) -> str:
    try:
        return host.script("sed -n 's/^id //p' /var/lib/labkit.mark", check=False).stdout.strip()
    except errors.ConnectionFailed:
        return ""


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), CONNECT_TIMEOUT_S)


def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text()
