"""The steps that a lab has with somebody else's API server, in order.

    prepare   reach it from every node -> look -> check -> remember -> accounts -> nodes
    retire    stop what runs on the nodes -> take away what has the lab's mark -> forget

Up to `remember` nothing is changed, on the server or on the nodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from labkit import errors
from labkit.client import config as client_config
from labkit.client import http, wire
from labkit.deploy import health, install, services
from labkit.lab import reports
from labkit.lab.external import access, checks, claims, record, survey

if TYPE_CHECKING:
    from labkit.lab.lab import Lab


def prepare(lab: Lab, *, example: bool) -> tuple[services.External, list[str]]:
    """Everything that has to be there before a program of the lab starts; and what was done."""
    config = client_config.read_kubeconfig(str(lab.paths.kubeconfig))
    client = lab.api.client
    health.check_reach(lab.pool, [node.name for node in lab.spec.cluster], config)
    found = survey.look(client)
    kept = record.read(lab.paths.control_plane)
    mark = kept.mark if kept else record.new_mark(lab.spec.name)
    _check_same(kept, found)
    there = tuple(claims.find_example(client, mark)) if example else ()
    checks.check(lab.spec, found, mark, there)
    checks.check_rights(client)
    missing = found.missing(mark)
    note = record.Record(mark, config.server, found.cluster, holds=True, components=missing)
    tokens = kept.tokens if kept else {}
    # Remembered before anything is made, and again with what was made.
    record.write(lab.paths.control_plane, dataclasses.replace(note, tokens=tokens))
    given = access.ensure(client, config, mark, tokens)
    note = dataclasses.replace(note, tokens=given.tokens, shared_credentials=given.shared)
    record.write(lab.paths.control_plane, note)
    external = _plan(config, found, note, given)
    done = claims.claim_nodes(client, lab.spec, external)
    return external, done + claims.retire_nodes(client, lab.spec, mark)


def retire(lab: Lab) -> str:
    """Take away what the lab made there. Returns why something had to stay; empty: nothing has."""
    kept = record.read(lab.paths.control_plane)
    if kept is None or not kept.holds:
        return ""
    running = {each.name for each in lab.provider.machines() if each.state == "running"}
    nodes = [node.name for node in lab.spec.cluster if node.name in running]
    with contextlib.suppress(errors.LabkitError):  # a machine that hangs is ended all the same
        install.stop_units(lab.pool, nodes)
    config = client_config.read_kubeconfig(str(lab.paths.kubeconfig))
    # With its machines the lab's network has gone: what is left is to ask from here.
    dial = lab.provider.dial if running else wire.dial_tcp
    try:
        with http.Client(config, dial=dial) as client:
            claims.remove(client, kept.mark)
    except errors.LabkitError as error:
        return f"{error}; what the lab made there has the label labkit.dev/lab={kept.mark}"
    record.write(lab.paths.control_plane, dataclasses.replace(kept, holds=False, tokens={}))
    return ""


def report(lab: Lab, *, running: bool) -> reports.ControlPlaneStatus | None:
    """What `labkit status` says of it; None for a lab with an API server of its own."""
    kept = record.read(lab.paths.control_plane)
    if kept is None:
        return None
    if not running:
        return reports.ControlPlaneStatus(kept.server, "not asked: the lab is down")
    try:
        found = survey.look(lab.api.client)
    except errors.LabkitError as error:
        return reports.ControlPlaneStatus(kept.server, str(error), answers=False)
    who = {name: _who_runs(name, holder, kept) for name, holder in found.holders.items()}
    who["nodes log in as"] = kept.shared_credentials or "accounts of their own"
    return reports.ControlPlaneStatus(kept.server, found.version, who, answers=True)


def _who_runs(name: str, holder: survey.Holder, kept: record.Record) -> str:
    if holder.name.endswith(f".{kept.mark}"):
        return "run by this lab, for the server has none" if holder.acts else "this lab's, silent"
    if name in kept.components:
        return f"started by this lab; {holder} acts" if holder.acts else "started by this lab"
    return f"the server's own: {holder}" if holder.acts else f"nobody runs it ({holder})"


def check_server(lab: Lab, config: client_config.ClientConfig) -> None:
    """Raise ConfigError while the lab still has nodes at another server: `down` must find them."""
    kept = record.read(lab.paths.control_plane)
    if kept and kept.holds and kept.server != config.server:
        raise errors.ConfigError(
            f"control_plane.kubeconfig names {config.server}, but this lab's nodes are registered "
            f"at {kept.server}",
            hint="`labkit down` takes them away there; then `labkit up`",
        )


def _check_same(kept: record.Record | None, found: survey.Survey) -> None:
    if kept and kept.holds and kept.cluster != found.cluster:
        raise errors.ConfigError(
            f"control_plane.kubeconfig names another cluster than the one at {kept.server}, "
            "where this lab's nodes are",
            hint="`labkit down` takes them away there; then `labkit up`",
        )


def _plan(
    config: client_config.ClientConfig,
    found: survey.Survey,
    note: record.Record,
    given: access.Access,
) -> services.External:
    return services.External(
        proxy=given.kubeconfigs["kube-proxy"],
        podlet=given.kubeconfigs["podlet"],
        controllers=client_config.render_kubeconfig(config),
        mark=note.mark,
        client_ca_pem=found.client_ca_pem or config.ca_pem,
        components=note.components,
        is_shared=any(not checks.mark_of(node) for node in found.nodes),
    )
