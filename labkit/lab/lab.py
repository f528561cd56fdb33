"""The lab: one object, one method for each verb."""

from __future__ import annotations

import datetime
import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from labkit import errors, paths
from labkit.client import config as client_config
from labkit.inspection import collect
from labkit.lab import api, lock, objects, reports
from labkit.model import commands, events, proxying, resources, rules, spec
from labkit.providers import base, registry
from labkit.ssh import config as ssh_config
from labkit.ssh import pool

if TYPE_CHECKING:
    from labkit.inspection import service
    from labkit.inspection.capture.pcap import Packet
    from labkit.inspection.events.following import Events
    from labkit.inspection.explain.rule import RuleExplanation
    from labkit.inspection.hold.holding import Held
    from labkit.inspection.layers.report import LayerInspection
    from labkit.inspection.predict import asking
    from labkit.inspection.predict.report import Prediction
    from labkit.inspection.probe.report import Probe
    from labkit.inspection.trace.report import Trace

#: The logs of a pod, one for each run of each container, and of a unit: as podlet and deploy do.
POD_LOGS = "/var/log/pods/{namespace}_{name}_*/*/*.log"
UNIT_LOG = "/var/log/labkit/{unit}.log"


class Lab:
    """A lab on this machine, running or not. Opening one starts nothing.

    >>> with labkit.open("lab") as lab:  # doctest: +SKIP
    ...     lab.up()
    ...     lab.inspect("app1")
    """

    def __init__(self, lab: spec.LabSpec, where: paths.LabPaths) -> None:
        self.spec = lab
        self.paths = where
        self.commands = commands.CommandLog()
        self.provider: base.Provider = registry.open_provider(lab, where)
        self.pool = pool.Pool(
            self.provider.endpoint,
            self.commands,
            here=[node.name for node in lab.nodes if node.is_here],
        )
        self._api: api.Api | None = None

    def __repr__(self) -> str:
        machines = ", ".join(node.name for node in self.spec.nodes)
        return f"Lab {self.spec.name!r}: {machines} ({self.spec.provider})"

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections. The lab itself goes on."""
        self.pool.close()
        if self._api:
            self._api.close()
            self._api = None

    @property
    def api(self) -> api.Api:
        """The API server, as the lab's admin. Raises NothingMatched for a lab never started."""
        if self._api is None:
            self._check_made()
            config = client_config.read_kubeconfig(str(self.paths.kubeconfig))
            self._api = api.connect(config, self.provider.dial)
        return self._api

    def up(
        self,
        *,
        example: bool = True,
        observer: events.Observer = events.ignore,
        timeout_s: float = 120.0,
    ) -> reports.UpReport:
        """Make the lab what it should be: start what is missing, mend what differs.

        Raises Busy while another `up` or `down` works on it, TimedOut, NotSupported, ProviderError.
        """
        from labkit.lab import bring_up  # what makes a lab is not needed to look at one

        begun = time.monotonic()
        with lock.exclusive(self.paths.state, "up"):
            result = bring_up.bring_up(
                self, example=example, observer=observer, timeout_s=timeout_s
            )
        return reports.UpReport(
            # All of them were just made to run: to ask Vagrant again would take seconds.
            status=self._status({node.name: "running" for node in self.spec.machines}),
            did=result.did,
            seconds=time.monotonic() - begun,
            ways=result.ways,
            inspection=result.inspection,
        )

    def down(
        self, *, purge: bool = False, observer: events.Observer = events.ignore
    ) -> reports.DownReport:
        """End everything that runs; with `purge` forget the lab's state too."""
        begun = time.monotonic()
        if not self.paths.state.exists():
            return reports.DownReport(
                self.spec.name, was_running=False, purged=purge, seconds=0.0, existed=False
            )
        with lock.exclusive(self.paths.state, "down"):
            self.close()
            progress = events.Progress(observer, total=1)
            with progress.step("end the machines"):
                was_running = any(each.state == "running" for each in self.provider.machines())
                left = self._retire()
                if isinstance(self.provider, base.Borrowed):
                    self._leave(self.provider)
                self.close()
                if purge:
                    self.provider.purge()
                    paths.forget(self.paths)
                else:
                    self.provider.stop()
        seconds = time.monotonic() - begun
        return reports.DownReport(self.spec.name, was_running, purge, seconds, left=left)

    def _leave(self, lent: base.Borrowed) -> None:
        """Take away all that was put on machines that go on without the lab."""
        from labkit.deploy import install

        install.uninstall(self.pool, lent.held())

    def _retire(self) -> str:
        """Take away what the lab made on an API server of others; return what had to stay."""
        if not self.paths.control_plane.exists():
            return ""
        from labkit.lab.external import steps

        return steps.retire(self)

    def start(
        self, node: str, *, observer: events.Observer = events.ignore, timeout_s: float = 120.0
    ) -> reports.LabStatus:
        """Start one machine and what runs on it, while the others go on."""
        from labkit.lab import bring_up

        self._check_machine(node)
        with lock.exclusive(self.paths.state, "start"):
            bring_up.start_node(self, node, observer=observer, timeout_s=timeout_s)
        return self.status()

    def stop(self, node: str, *, observer: events.Observer = events.ignore) -> reports.LabStatus:
        """End one machine, as if somebody pulled its plug; its disk stays."""
        self._check_machine(node)
        with lock.exclusive(self.paths.state, "stop"):
            progress = events.Progress(observer, total=1)
            with progress.step(f"end {node}"):
                if node == self.spec.control.name:
                    self.close()  # with it, the API server goes
                else:
                    self.pool.close(node)  # who listens on other nodes goes on
                self.provider.stop([node])
        return self.status()

    def snapshots(self) -> reports.Snapshots:
        """Return the names of what was kept. Raises NotSupported where the provider cannot."""
        self._check_made()
        return reports.Snapshots(self.spec.name, self.provider.snapshots())

    def snapshot_save(self, name: str) -> reports.Snapshots:
        """Keep all machines, disks and memory, as they are now."""
        spec.check_snapshot(name)
        return self._with_snapshots(name, self.provider.snapshot_save)

    def snapshot_restore(self, name: str) -> reports.Snapshots:
        """Make all machines what they were when `name` was saved; only their clocks go on."""
        return self._with_snapshots(name, self.provider.snapshot_restore)

    def snapshot_delete(self, name: str) -> reports.Snapshots:
        """Forget one."""
        return self._with_snapshots(name, self.provider.snapshot_delete)

    def _with_snapshots(self, name: str, do: Callable[[str], None]) -> reports.Snapshots:
        self._check_made()
        with lock.exclusive(self.paths.state, "snapshot"):
            self.close()  # a connection does not survive that its machine goes back in time
            do(name)
        return self.snapshots()

    def _check_machine(self, node: str) -> None:
        """Raise for a node that the provider has not made."""
        if self.spec.node(node).is_here:
            raise errors.NotSupported(f"{node} is this machine itself")
        self._check_made()

    def status(self) -> reports.LabStatus:
        """Look at every machine and the services on it, also of a lab that is down.

        Raises NothingMatched for a lab that was never started.
        """
        self._check_made()
        return self._status({each.name: each.state for each in self.provider.machines()})

    def _status(self, states: Mapping[str, base.MachineState]) -> reports.LabStatus:
        running = [node.name for node in self.spec.cluster if states[node.name] == "running"]
        units = self._unit_states(running)
        nodes = [
            reports.NodeStatus(
                node.name,
                node.role,
                str(node.address),
                states.get(node.name, "running"),  # the learner's own machine
                units.get(node.name, {}),
            )
            for node in self.spec.nodes
        ]
        control_plane = self._control_plane_status(running=bool(running))
        return reports.LabStatus(self.spec.name, self.spec.provider, tuple(nodes), control_plane)

    def _control_plane_status(self, *, running: bool) -> reports.ControlPlaneStatus | None:
        if not self.paths.control_plane.exists():
            return None
        from labkit.lab.external import steps

        return steps.report(self, running=running)

    def kubeconfig(self) -> str:
        """Return the kubeconfig of the lab's API server, its own or the one that it was given."""
        self._check_made()
        return self.paths.kubeconfig.read_text()

    def apply(self, manifest: str | Path | Mapping[str, Any]) -> list[reports.Applied]:
        """Create or change what `manifest` describes: YAML or JSON text, a file, or an object."""
        client = self.api.client
        return [objects.apply(client, obj) for obj in objects.read_manifest(manifest)]

    def get(
        self, kind: str, name: str | None = None, namespace: str | None = "default"
    ) -> reports.ObjectTable:
        """Read objects. `kind` as one says it to kubectl; `namespace=None` means all of them."""
        return objects.get(self.api.client, objects.find_resource(kind), name, namespace)

    def delete(
        self, kind: str, name: str, namespace: str = "default", *, timeout_s: float = 60.0
    ) -> None:
        """Delete one object and return when it is gone. Raises NotFound, TimedOut."""
        resource = objects.find_resource(kind)
        self.api.client.delete(resource, name, namespace)
        self.api.wait_for(
            resource,
            [name],
            api.lacks_nothing_but_absence,
            namespace=namespace if resource.namespaced else "",
            timeout_s=timeout_s,
        )

    def exec(self, target: str, argv: Sequence[str], *, stdin: str = "") -> commands.Command:
        """Run a program on a machine or in a pod; a status other than 0 is a value, not an error.

        `target` is a node's name, or a pod's as `NAME`, `pod/NAME` or `NAMESPACE/NAME`.
        """
        self._check_made()
        if any(target == node.name for node in self.spec.nodes):
            return self.pool.connection(target).run(argv, stdin=stdin, check=False)
        pod = self._pod(target)
        prefix = ("ip", "netns", "exec", f"{pod.namespace}_{pod.name}")
        connection = self.pool.connection(pod.node)
        return connection.run([*prefix, *argv], stdin=stdin, check=False)

    def logs(self, target: str, *, lines: int | None = None) -> str:
        """Return the log of `NODE/UNIT` (node1/kube-proxy) or of a pod."""
        self._check_made()
        node, _, unit = target.partition("/")
        if any(node == each.name for each in self.spec.nodes):
            if not unit:
                hint = f"such as {node}/kube-proxy; `labkit status` lists the services"
                raise errors.UsageError(f"{node} has a log for each of its services", hint=hint)
            path = UNIT_LOG.format(unit=shlex.quote(unit))
            hint = "`labkit status` lists the services"
        else:
            pod = self._pod(target)
            node, path = pod.node, POD_LOGS.format(namespace=pod.namespace, name=pod.name)
            hint = "`labkit get events` says why a pod has not begun"
        # By version: the tenth run comes after the ninth. What a log has given up reads as zeros.
        show = f"files=$(ls -v {path} 2>&-) && cat $files | tr -d '\\000'"
        show += "" if lines is None else f" | tail -n {lines}"
        command = self.pool.connection(node).run(["sh", "-c", show], check=False)
        if command.exit_status:
            raise errors.NothingMatched(f"there is no log {path}", node=node, hint=hint)
        return command.stdout

    def inspect(
        self, name: str, *, namespace: str = "default", node: str | None = None
    ) -> service.ServiceInspection:
        """Read what a Service became on every node (or on one), right now."""
        from labkit.inspection import service

        nodes = [self.spec.node(node)] if node else self.spec.cluster
        found = collect.read_objects(self.api.client, name, namespace)
        states = collect.read_nodes(self.pool, nodes, service=f"{namespace}/{name}")
        return service.inspect_service(found.service, found.endpoints, found.pods, states)

    def inspect_layer(
        self, layer: str, *, node: str | None = None, chain: str = ""
    ) -> LayerInspection:
        """Read one layer of every node (or of one): chains, rules, conntrack, sockets, ..."""
        from labkit.inspection.layers import look
        from labkit.inspection.layers import report as layer_report

        if layer == "endpoints":
            items = self.api.client.list(resources.ENDPOINTS, "").get("items") or ()
            ends = layer_report.NodeLayer("API server", "", look.list_endpoints(items))
            return layer_report.LayerInspection(layer, (ends,))
        names = [self.spec.node(node).name] if node else [one.name for one in self.spec.cluster]
        looks = self.pool.map(names, lambda connection: look.read(connection, layer))
        return layer_report.inspect_layer(looks.values(), layer, chain=chain)

    def predict(self, request: asking.Request | str, *, why: bool = False) -> Prediction:
        """Say where a request would go, by the rules of all nodes as they are now.

        `why`: list the rules that did not take it, too, each with the condition that said no.
        """
        from labkit.inspection.predict import asking

        wanted = asking.request_of(request)
        return asking.predict(self.pool, self.api.client, self.spec, wanted, why=why)

    def probe(self, request: asking.Request | str, *, count: int = 1) -> Probe:
        """Send real requests, and see which rules moved on which node, and who answered.

        `request` is a Service's name, or says more: who sends, and by which way.
        """
        from labkit.inspection.predict import asking
        from labkit.inspection.probe import sending

        wanted = asking.request_of(request)
        return sending.probe(self.pool, self.api.client, self.spec, wanted, count)

    def trace(self, request: asking.Request | str, *, why: bool = False) -> Trace:
        """Send one real request, and follow it hop by hop over all machines and the proxy.

        `why`: list the rules that did not take it, too, as is done for one without an answer.
        """
        from labkit.inspection.predict import asking
        from labkit.inspection.trace import tracing

        wanted = asking.request_of(request)
        return tracing.trace(self.pool, self.api.client, self.spec, wanted, why=why)

    def hold(self, request: asking.Request | str) -> AbstractContextManager[Held]:
        """A connection to a Service that stays open in `with`, to ask over it again and again.

        >>> with lab.hold("app1") as held:  # doctest: +SKIP
        ...     held.ask().pod == held.ask().pod
        """
        from labkit.inspection.hold import holding
        from labkit.inspection.predict import asking

        wanted = asking.request_of(request)
        return holding.hold(self.pool, self.api.client, self.spec, wanted)

    def capture(
        self,
        nodes: Sequence[str] = (),
        *,
        service: str = "",
        namespace: str = "default",
        interface: str = "any",
        seconds: float = 10.0,
    ) -> tuple[Packet, ...]:
        """Record packets on these nodes (or on all) at once, merged by time.

        `service`: only what goes to a Service or to its endpoints. `pcapng.render` makes a file
        for Wireshark of them, and `lines.render` a line of each.
        """
        from labkit.inspection.capture import taking

        names = [self.spec.node(name).name for name in nodes or [n.name for n in self.spec.cluster]]
        wanted = ""
        if service:
            found = collect.read_objects(self.api.client, service, namespace)
            known = proxying.parse_endpoints(found.endpoints) if found.endpoints else {}
            ends = [one for each in known.values() for one in each]
            wanted = taking.plan_filter(proxying.parse_service(found.service), ends)
        return taking.take(self.pool, names, seconds=seconds, interface=interface, wanted=wanted)

    def events(self, nodes: Sequence[str] = (), *, kinds: Sequence[str] = ()) -> Events:
        """All that happens from now on, on these nodes (or on all) and on the API server.

        Use it in `with`: it returns when everything is heard. `kinds` are those of `Event.kind`.
        """
        from labkit.inspection.events import following, objects, sources

        names = [self.spec.node(name).name for name in nodes or [n.name for n in self.spec.cluster]]
        api = self.api
        return following.Events(
            [
                *(sources.Node(name, self.pool.connection) for name in names),
                *(
                    sources.Objects(kind, api.config, api.dial, is_first=kind is objects.WATCHED[0])
                    for kind in objects.WATCHED
                ),
            ],
            kinds,
        )

    def explain(self, text: str | rules.Rule) -> RuleExplanation:
        """Say what an iptables rule does: one as `inspect` shows it, or any other."""
        from labkit.inspection.explain import reading, rule

        if isinstance(text, rules.Rule):
            return rule.explain_rule(text)
        typed = reading.parse_typed(text)
        return rule.explain_rule(typed.rule, table=typed.table)

    def kubectl_argv(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the command that runs the real kubectl on this lab's API server."""
        self._check_made()
        return self.provider.within(
            ["kubectl", f"--kubeconfig={self.paths.kubeconfig}", *arguments]
        )

    def ssh_argv(self, node: str, argv: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the command that logs in to a machine with OpenSSH's own client."""
        if self.spec.node(node).is_here:
            raise errors.NotSupported(
                f"{node} is this machine itself", hint=f"`labkit exec {node} -- CMD` runs CMD here"
            )
        self._check_made()
        if node not in {each.name for each in self.provider.machines() if each.state == "running"}:
            raise errors.ProviderError("is not running", node=node, hint="`labkit up` starts it")
        return ("ssh", "-F", str(self.paths.ssh_config), node, *argv)

    def ssh_config(self) -> str:
        """Return the configuration for OpenSSH's own client."""
        self._check_made()
        endpoints = [self.provider.endpoint(node.name) for node in self.spec.machines]
        made = [each for each in endpoints if each.host_key]
        return ssh_config.render_ssh_config(made, self.paths.known_hosts)

    def _unit_states(self, running: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        from labkit.deploy import install

        found = install.unit_states(self.pool, running) if running else {}
        return {
            node: {name: unit.state for name, unit in units.items()}
            for node, units in found.items()
        }

    def _pod(self, target: str) -> objects.PodPlace:
        return objects.find_pod(self.api.client, target, [node.name for node in self.spec.nodes])

    def _check_made(self) -> None:
        """Raise NothingMatched for a lab that was never up."""
        if not self.paths.spec.exists():
            raise self._not_started()

    def _not_started(self) -> errors.LabkitError:
        return errors.NothingMatched(
            f"there is no lab {self.spec.name}", hint="`labkit up` makes it, `labkit ls` lists labs"
        )


def open_lab(name: str | None = None, *, overrides: Mapping[str, Any] | None = None) -> Lab:
    """Return a lab. What it is like is said by the first of these that says anything.

    Flags (`overrides`, by the lab file's dotted keys); the lab file, if it names this lab or if
    the lab is new; the lab itself, as it was made; the defaults.
    """
    file = paths.find_lab_file(Path.cwd())
    named = _read_lab_file(file).name if file else None
    where = paths.of(name or named or spec.DEFAULT_NAME)
    if where.spec.exists() and where.state.name != named:
        return Lab(_read_made(where.spec, overrides or {}), where)
    return Lab(_read_lab_file(file, {"name": name, **(overrides or {})}), where)


def _read_lab_file(path: Path | None, overrides: Mapping[str, Any] | None = None) -> spec.LabSpec:
    from labkit import labfile  # most commands find a lab that was made, and need no such reader

    return labfile.load(path, overrides)


def _read_made(path: Path, overrides: Mapping[str, Any]) -> spec.LabSpec:
    if any(value is not None for value in overrides.values()):
        return _read_lab_file(path, overrides)
    return spec.from_json(json.loads(path.read_text()))


def list_labs() -> tuple[reports.LabSummary, ...]:
    """Return every lab that has state on this machine, whatever folder one is in."""
    return tuple(_summary(name) for name in paths.lab_names())


def _summary(name: str) -> reports.LabSummary:
    with open_lab(name) as lab:
        machines = lab.provider.machines()
        running = sum(each.state == "running" for each in machines)
        states = {0: "stopped", len(machines): "running"}
        made = datetime.datetime.fromtimestamp(lab.paths.spec.stat().st_mtime, datetime.UTC)
        return reports.LabSummary(
            name=name,
            state=states.get(running, "partly running"),
            nodes=len(machines),
            provider=lab.spec.provider,
            path=str(lab.paths.state),
            since=made.isoformat(timespec="seconds"),
        )
