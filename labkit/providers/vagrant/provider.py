"""The provider protocol over Vagrant."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import TypedDict

from labkit import errors, local, paths
from labkit.model import commands, events, spec
from labkit.providers import base
from labkit.providers.vagrant import calls, contact, machines
from labkit.ssh import connection
from labkit.ssh.endpoint import Endpoint

#: A machine on this one's own network answers at once or not at all.
CONNECT_TIMEOUT_S = 3.0
#: A machine may still boot, where an `up` was cut short, or come round after it was put back into
#: its past; an emulated one takes a minute.
BOOT_S = 300.0

#: Vagrant's word for a machine that runs, and that for one that is not there; all else is stopped.
RUNNING, ABSENT = "running", "not_created"


class Pin(TypedDict):
    """Where a machine's sshd is, and the only host key that it may show."""

    host: str
    port: int
    user: str
    host_key: str


class VagrantProvider:
    """The machines of one lab as virtual ones. The learner's machine reaches them directly."""

    name = "vagrant"

    def __init__(self, lab: spec.LabSpec, where: paths.LabPaths) -> None:
        self._lab = lab
        self._paths = where
        self._folder = where.state / "vagrant"

    def ensure(self, progress: events.Progress) -> tuple[str, ...]:
        return self.start([node.name for node in self._lab.machines], progress)

    def start(self, names: Sequence[str], progress: events.Progress) -> tuple[str, ...]:
        self._prepare()
        strays = self._strays()
        if strays:
            progress.waiting(f"vagrant to remove {', '.join(strays)}")
            self._calls(progress).destroy(strays)
        states = self._calls(progress).states() if self._created() else {}
        missing = [name for name in names if states.get(name) != RUNNING]
        absent = [name for name in missing if states.get(name, ABSENT) == ABSENT]
        self._forget(absent)
        if missing:
            self._check_room(len(missing), len(absent))
            progress.waiting("vagrant up " + " ".join(missing))
            with self._whole_images(absent):
                one_by_one = self._made_by() in machines.ONE_BY_ONE
                self._calls(progress).up(missing, one_by_one=one_by_one)
        if missing or set(names) - set(self._known()):
            progress.waiting("sshd on " + ", ".join(names))
            self._meet(names, missing)
        return tuple(missing)

    def machines(self) -> tuple[base.Machine, ...]:
        states, why = {}, ""
        if self._created():
            try:
                states = self._calls().states()
            except errors.LabkitError as error:
                states, why = dict.fromkeys(self._created(), "unknown"), error.message
        return tuple(
            _machine(node.name, states.get(node.name, ABSENT), why) for node in self._lab.machines
        )

    def stop(self, names: Sequence[str] = ()) -> None:
        made = [name for name in names or self._created() if name in self._created()]
        if made:
            self._calls().halt(made)

    def purge(self) -> None:
        if made := self._created():
            self._calls().destroy(made)
        shutil.rmtree(self._folder, ignore_errors=True)

    def endpoint(self, name: str) -> Endpoint:
        self._lab.node(name)
        known = self._known().get(name)
        if known is None:
            return self._endpoint(name, calls.SshDetails("", 22, "", ()), "")
        details = calls.SshDetails(known["host"], known["port"], known["user"], ())
        return self._endpoint(name, details, known["host_key"])

    def dial(self, host: str, port: int) -> socket.socket:
        try:
            sock = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise errors.ConnectionFailed(
                self._why_silent(host) or f"{host} port {port}: {error.strerror or error}",
                hint="`labkit up` mends the lab",
            ) from error
        sock.settimeout(None)
        return sock

    def within(self, argv: Sequence[str]) -> tuple[str, ...]:
        return tuple(argv)

    def snapshot_save(self, name: str) -> None:
        self._check_snapshots(name)
        self._calls().snapshot_save(name)

    def snapshot_restore(self, name: str) -> None:
        """Go back, disks and memory; and then forward again to what time it is."""
        self._check_snapshots(name)
        self._calls().snapshot_restore(name)
        self._set_clocks()

    def snapshots(self) -> tuple[str, ...]:
        self._check_snapshots()
        return self._calls().snapshots() if self._created() else ()

    def snapshot_delete(self, name: str) -> None:
        self._check_snapshots(name)
        self._calls().snapshot_delete(name)

    def _check_snapshots(self, name: str = "") -> None:
        by = self._made_by()
        if by in machines.NO_SNAPSHOTS:
            raise base.no_snapshots(by, name)

    # --- Vagrant ---------------------------------------------------------------------------------

    def _calls(self, progress: events.Progress | None = None) -> calls.Calls:
        def interrupted() -> None:
            if progress:
                progress.waiting("vagrant to end in good order; Ctrl-C again ends it at once")

        self._prepare()
        environment = machines.plan_environment(
            self._lab, self._made_by(), self._paths.private_key, self._strays()
        )
        return calls.Calls(self._folder, environment, interrupted)

    def _made_by(self) -> str:
        """Which of Vagrant's providers; empty where it is to choose."""
        return machines.choose_provider(self._lab.vagrant.provider, local.has)

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths.ensure_file(self._folder / "Vagrantfile", machines.read_vagrantfile())

    @contextlib.contextmanager
    def _whole_images(self, made: Sequence[str]) -> Iterator[None]:
        """No machine is made on half an image: neither one of before, nor one of what fails now."""
        if not made or self._made_by() != "libvirt":
            yield
            return
        from labkit.providers.vagrant import images  # most commands make no machine

        options = self._lab.vagrant.options
        images.remove_torn(options)
        try:
            yield
        except errors.DiskFull:
            images.remove_torn(options, quiet_s=0)
            raise

    def _created(self) -> tuple[str, ...]:
        return machines.created(self._folder)

    def _strays(self) -> tuple[str, ...]:
        known = {node.name for node in self._lab.machines}
        return tuple(name for name in self._created() if name not in known)

    def _check_room(self, start: int, make: int) -> None:
        machines.check_room(
            self._lab,
            start,
            make,
            memory_mib=machines.free_memory_mib(),
            disk_mib=shutil.disk_usage(self._folder).free // 2**20,
        )

    # --- Who the machines are --------------------------------------------------------------------

    @property
    def _record(self) -> Path:
        return self._folder / "machines.json"

    def _known(self) -> dict[str, Pin]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._record.read_text()))
        return {}

    def _forget(self, names: Iterable[str]) -> None:
        """A machine that was destroyed takes its host key along; the next one has another."""
        known = self._known()
        left = {name: each for name, each in known.items() if name not in set(names)}
        if left != known:
            paths.ensure_file(self._record, json.dumps(left, indent=2))

    def _meet(self, names: Sequence[str], started: Sequence[str]) -> None:
        """Learn where each sshd is now, whose key it has if that is new, and set the clocks."""
        details = self._calls().ssh_details(names)
        known, public = self._known(), self._public_key()

        def greet(name: str) -> tuple[str, Pin]:
            contact.await_banner(name, details[name], within_s=BOOT_S)
            pinned = known[name]["host_key"] if name in known else ""
            own = self._endpoint(name, details[name], pinned)
            session = (
                connection.Connection(own, commands.CommandLog())
                if pinned
                else contact.meet(name, details[name], own, public)
            )
            with session:
                if name in started:
                    contact.set_clock(session)
            met = session.endpoint
            return name, Pin(host=met.host, port=met.port, user=met.user, host_key=met.host_key)

        with futures.ThreadPoolExecutor() as threads:
            met = dict(threads.map(greet, details))
        paths.ensure_file(self._record, json.dumps(known | met, indent=2))

    def _set_clocks(self) -> None:
        """Of machines that came out of their past just now, and may still be coming round."""

        def run(name: str) -> None:
            pin = self._known()[name]
            place = calls.SshDetails(pin["host"], pin["port"], pin["user"], ())
            contact.await_banner(name, place, within_s=BOOT_S)
            with connection.Connection(self.endpoint(name), commands.CommandLog()) as session:
                contact.set_clock(session)

        with futures.ThreadPoolExecutor() as threads:
            list(threads.map(run, self._known()))

    def _endpoint(self, name: str, details: calls.SshDetails, host_key: str) -> Endpoint:
        return Endpoint(
            name=name,
            host=details.host,
            port=details.port,
            user=details.user,
            host_key=host_key,
            private_key=self._paths.private_key,
            dial=self.dial,
        )

    def _public_key(self) -> str:
        return self._paths.private_key.with_suffix(".pub").read_text().strip()

    def _why_silent(self, host: str) -> str:
        """Which machine has that address and does not run; nothing when all is well with it."""
        name = next((node.name for node in self._lab.machines if str(node.address) == host), "")
        by_record = (name for name, each in self._known().items() if each["host"] == host)
        name = name or next(by_record, "")
        states = {each.name: each.state for each in self.machines()} if name else {}
        if states and RUNNING not in states.values():
            return "the lab is not running"
        return "" if states.get(name, RUNNING) == RUNNING else f"{name} is not running"


def _machine(name: str, state: str, why: str) -> base.Machine:
    if state == RUNNING:
        return base.Machine(name, "running")
    if state == ABSENT:
        return base.Machine(name, "absent", why)
    return base.Machine(name, "stopped", why or state)
