"""How a lab comes up: eight steps, each of which looks first and mends only what differs.

    machines -> programs on them -> API server -> nodes -> example -> its pods -> its rules
    -> five requests

Where the API server is somebody else's, it comes before the programs: see `labkit.lab.external`.

Run on a lab that is up, every step finds nothing to do. Run after a crash in the middle, each step
goes on from what is there. Nothing here undoes a step: `down` does, whatever state it finds.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit import errors, paths
from labkit.client import config as client_config
from labkit.deploy import health, install, pki, services
from labkit.inspection import collect, probing, proof, service
from labkit.lab import api
from labkit.model import events, example, resources, spec
from labkit.providers import base
from labkit.ssh import config as ssh_config
from labkit.ssh import keys

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

EXAMPLE_PODS = tuple(obj["metadata"]["name"] for obj in example.objects() if obj["kind"] == "Pod")


@dataclass(frozen=True, slots=True)
class Result:
    """What was done, one line each, and what was seen of the example."""

    did: tuple[str, ...]
    ways: proof.WaysReport | None = None
    inspection: service.ServiceInspection | None = None


def bring_up(lab: Lab, *, example: bool, observer: events.Observer, timeout_s: float) -> Result:
    """Do all steps, those after the machines within `timeout_s`."""
    _check_what_is_fixed(lab)
    config = _read_kubeconfig(lab)
    progress = events.Progress(observer, total=8 if example else 4)
    did: list[str] = []
    with progress.step("make the machines"):
        _ensure_keys(lab, config)
        did += [f"started {name}" for name in lab.provider.ensure(progress)]
        did += _give_back(lab)
        _write_ssh_files(lab)
    deadline = _Deadline(timeout_s)  # a provider has time limits of its own for what boots
    if lab.spec.control_plane.is_external:
        mark, podlets = _join(lab, progress, did, example=example)
    else:
        mark = ""
        with progress.step("start the cluster's programs"):
            podlets = _ensure_programs(lab, progress, did)
        with progress.step("wait for the API server"):
            health.wait_for_api(lab.pool, lab.spec, timeout_s=deadline.left)
            did += _retire_nodes(lab)
    with progress.step("wait for the nodes"):
        lacks = api.lacks_podlet(podlets)
        lab.api.wait_for(resources.NODES, podlets, lacks, timeout_s=deadline.left)
    if not example:
        return Result(tuple(did))
    return _show_example(lab, progress, deadline, did, mark)


def _give_back(lab: Lab) -> list[str]:
    """Leave hosts that the lab file does not name any more."""
    if not isinstance(lab.provider, base.Borrowed):
        return []
    former = lab.provider.former()
    if former:
        install.uninstall(lab.pool, former)
        lab.provider.give_back(former)
    return [f"gave back {name}" for name in former]


def start_node(lab: Lab, name: str, *, observer: events.Observer, timeout_s: float) -> None:
    """Start one machine, and what is to run on it where no systemd does that."""
    progress = events.Progress(observer, total=2)
    with progress.step(f"start {name}"):
        lab.provider.start([name], progress)
        _write_ssh_files(lab)
    with progress.step("start its programs"):
        if lab.spec.node(name).in_cluster and not lab.spec.control_plane.is_external:
            plan = services.plan_services(lab.spec, pki.load_pki(lab.paths.pki))
            install.ensure_services(lab.pool, {name: plan[name]}, progress)
            health.wait_for_api(lab.pool, lab.spec, timeout_s=timeout_s)


def _join(
    lab: Lab, progress: events.Progress, did: list[str], *, example: bool
) -> tuple[str, dict[str, str]]:
    """Join somebody else's cluster; return what marks the lab's objects there, and the podlets."""
    from labkit.lab.external import steps  # most labs have an API server of their own

    with progress.step("look at the API server"):
        external, done = steps.prepare(lab, example=example)
        did += done
    with progress.step("start the cluster's programs"):
        podlets = _ensure_programs(lab, progress, did, external)
    return external.mark, podlets


def _plan_example(lab: Lab, mark: str, timeout_s: float) -> tuple[resources.Object, ...]:
    if not mark:
        return example.objects()
    from labkit.lab.external import claims

    # Kubernetes takes no pod before its namespace has a service account.
    lab.api.wait_for(
        resources.SERVICE_ACCOUNTS,
        ["default"],
        api.lacks_existence,
        namespace="default",
        timeout_s=timeout_s,
    )
    return claims.plan_example(mark)


def _show_example(
    lab: Lab, progress: events.Progress, deadline: _Deadline, did: list[str], mark: str
) -> Result:
    with progress.step("apply the example"):
        wanted = _plan_example(lab, mark, deadline.left)
        applied = [one for obj in wanted for one in lab.apply(obj)]
        did += [repr(one) for one in applied if one.action != "unchanged"]
    with progress.step("wait for its pods"):
        progress.waiting(", ".join(EXAMPLE_PODS))
        lab.api.wait_for(
            resources.PODS,
            EXAMPLE_PODS,
            api.lacks_readiness,
            namespace="default",
            timeout_s=deadline.left,
        )
    with progress.step("wait for its rules"):
        nodes = [node.name for node in lab.spec.cluster]
        service_name = f"default/{example.NAME}"
        probing.wait_until_served(lab.pool, nodes, service_name, timeout_s=deadline.left)
    with progress.step("send a request by each of the five ways in"):
        found = collect.read_objects(lab.api.client, example.NAME, "default")
        report = probing.send_ways(lab.pool, lab.spec, found.service, found.pods)
    return Result(tuple(did), report, lab.inspect(example.NAME))


class _Deadline:
    """One time limit for many steps."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def left(self) -> float:
        """Seconds left, and never none: a step whose state is right already needs no time."""
        return max(0.1, self._end - time.monotonic())


def _check_what_is_fixed(lab: Lab) -> None:
    """Raise ConfigError for a change of what the lab's objects already live by."""
    if not lab.paths.spec.exists():
        return
    made = spec.from_json(json.loads(lab.paths.spec.read_text())).to_json()
    wanted = lab.spec.to_json()
    if bool(made["control_plane"]["kubeconfig"]) != lab.spec.control_plane.is_external:
        had = (
            "another API server"
            if made["control_plane"]["kubeconfig"]
            else "an API server of its own"
        )
        raise errors.ConfigError(
            f"control_plane.kubeconfig: the lab {lab.spec.name} was made with {had}",
            hint="`labkit down --purge` forgets it and its objects; then `labkit up`",
        )
    for key in ("provider", "network"):
        if made[key] != wanted[key]:
            raise errors.ConfigError(
                f"the lab {lab.spec.name} was made with {key} {made[key]}; "
                f"it cannot become {wanted[key]}",
                hint="`labkit down --purge` forgets it and its objects; then `labkit up`",
            )


def _retire_nodes(lab: Lab) -> list[str]:
    """Forget nodes that the lab has no more: their pods, which nobody runs now, and themselves."""
    client = lab.api.client
    known = {node.name for node in lab.spec.cluster}
    nodes = [node["metadata"]["name"] for node in client.list(resources.NODES)["items"]]
    gone = [name for name in nodes if name not in known]
    for name in gone:
        pods = client.list(resources.PODS, field_selector=f"spec.nodeName={name}")["items"]
        for meta in (pod["metadata"] for pod in pods):
            client.delete(resources.PODS, meta["name"], meta["namespace"], grace_s=0)
        client.delete(resources.NODES, name)
    return [f"removed {name}" for name in gone]


def _read_kubeconfig(lab: Lab) -> str:
    """The one that the lab file names, made to stand on its own; empty where it names none."""
    if not lab.spec.control_plane.is_external:
        return ""
    from labkit.lab.external import kubeconfig, steps

    config = kubeconfig.read(lab.spec.control_plane)
    steps.check_server(lab, config)
    return client_config.render_kubeconfig(config)


def _ensure_keys(lab: Lab, config: str) -> None:
    """Keep what the lab is, and make what is secret about it, once."""
    where = lab.paths
    where.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    where.private_key.parent.mkdir(exist_ok=True, mode=0o700)
    if not where.private_key.exists():
        pair = keys.generate_ed25519()
        paths.ensure_file(where.private_key.with_suffix(".pub"), f"{pair.public}\n")
        keys.write_key(where.private_key, pair.private_openssh)
    secrets = pki.ensure_pki(where.pki, lab.spec)
    keys.write_key(where.kubeconfig, config or secrets.admin_kubeconfig)
    paths.ensure_file(where.spec, json.dumps(lab.spec.to_json(), indent=2))


def _write_ssh_files(lab: Lab) -> None:
    endpoints = [lab.provider.endpoint(node.name) for node in lab.spec.machines]
    known_hosts = lab.paths.known_hosts
    paths.ensure_file(known_hosts, ssh_config.render_known_hosts(endpoints))
    paths.ensure_file(lab.paths.ssh_config, ssh_config.render_ssh_config(endpoints, known_hosts))


def _ensure_programs(
    lab: Lab,
    progress: events.Progress,
    did: list[str],
    external: services.External | None = None,
) -> dict[str, str]:
    """Make every node run its programs; return when its podlet began."""
    plan = services.plan_services(lab.spec, pki.load_pki(lab.paths.pki), external)
    ensured = install.ensure_services(lab.pool, plan, progress)
    did += [f"{node}: {change}" for node, each in ensured.items() for change in each.did]
    return {node: each.units["podlet"].began for node, each in ensured.items()}
