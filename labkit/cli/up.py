"""`labkit up`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from labkit import errors
from labkit.cli import options, output, progress, session
from labkit.model import example as app1

#: The flags that go over the lab file, and the key that each one overrides.
KEYS = {
    "workers": "nodes.workers",
    "clients": "nodes.clients",
    "provider": "provider",
    "kubeconfig": "control_plane.kubeconfig",
    "context": "control_plane.context",
}

#: Something failed, is not possible here, or took too long; the rest is the learner's own doing.
_MAY_BE_THE_MACHINE = (1, 5, 6)


@click.command()
@options.shared("table", "json", "yaml", yes=True, progress=True)
@click.option("--example/--no-example", default=True, help="Apply the example Service and pods.")
@click.option("--workers", type=int, help="How many workers, beside the control node.")
@click.option("--clients", type=int, help="How many machines outside the cluster.")
@click.option("--provider", metavar="NAME", help="What makes the machines.")
@click.option(
    "--bundle", type=click.Path(path_type=Path), help="Use what is in it, and ask no network."
)
@click.option(
    "--kubeconfig", metavar="PATH", help="Use this API server, and start none on the lab's nodes."
)
@click.option("--context", metavar="NAME", help="Which context of it; by default the current one.")
@click.pass_obj
def command(
    current: session.Session,
    example: bool,
    workers: int | None,
    clients: int | None,
    provider: str | None,
    bundle: Path | None,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Bring the lab up: machines, cluster, the example Service and a request by each way to it.

    \b
      labkit up
      labkit up --workers 3 --no-example
      labkit up --name other --events json

    What is there already is kept: `up` compares, and mends only what differs.
    """
    said = {
        "workers": workers,
        "clients": clients,
        "provider": provider,
        "kubeconfig": kubeconfig,
        "context": context,
    }
    overrides = {KEYS[flag]: value for flag, value in said.items() if value is not None}
    if bundle:
        overrides |= _use_bundle(current, bundle, overrides)
    with current.lab(overrides) as lab:
        if lab.spec.provider == "netns":
            current.world.ensure_packages(current.agrees)
        try:
            with progress.watch(current.events, sys.stderr) as observer:
                report = lab.up(example=example, observer=observer, timeout_s=current.timeout_s)
        except errors.LabkitError as error:
            if lab.spec.provider != "netns":
                raise  # Vagrant, and a machine that exists already, say themselves what they lack
            raise _reason(current, error) from error
        output.show(report, current.output)
        output.note(next_steps(lab.spec.name, example=example))
    return 0 if report.ways is None or report.ways.ok else 1


def _use_bundle(
    current: session.Session, path: Path, overrides: Mapping[str, Any]
) -> dict[str, str]:
    """Check all of the bundle; where Vagrant makes the machines, let it make them of its box."""
    from labkit.boxes import catalogue
    from labkit.bundles import unpack

    opened = unpack.open_bundle(path)
    with current.lab(overrides) as lab:
        if lab.spec.provider != "vagrant":
            return {}
        box = unpack.provide_box(opened, lab.spec.vagrant.provider)
    return {
        "vagrant.provider": box.provider,
        "vagrant.box": catalogue.NAME,
        "vagrant.box_version": box.version,
    }


def _reason(current: session.Session, error: errors.LabkitError) -> errors.LabkitError:
    """The machine's own shortcoming where it has one that explains the error; else the error."""
    if error.exit_code not in _MAY_BE_THE_MACHINE:
        return error
    for finding in current.world.findings("netns", current.name):
        if finding.verdict == "blocked":
            kind = errors.DiskFull if finding.id == "disk" else errors.NotSupported
            reason = kind(finding.what, hint=finding.fix)
            reason.add_note(str(error))
            return reason
    return error


def next_steps(name: str, *, example: bool) -> str:
    """What to type now."""
    lab = f" --name {name}" if name != "lab" else ""
    steps = [
        (f"labkit inspect{lab} {app1.NAME}", "the rules and counters again, as they are now"),
        (f"labkit ssh{lab} node1", "look around on a node"),
        (f"labkit kubectl{lab} get pods -o wide", "the real kubectl"),
        (f"labkit down{lab}", "end it; the next `up` goes on with the same objects"),
    ]
    shown = steps if example else steps[1:]
    width = max(len(line) for line, _ in shown)
    return "\n".join(["\nNext:", *(f"  {line:<{width}}  {why}" for line, why in shown)])
