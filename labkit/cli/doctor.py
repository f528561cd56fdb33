"""`labkit doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from labkit import system
from labkit.cli import options, output, session

if TYPE_CHECKING:
    from labkit.preflight.findings import Finding

EXIT = {"fine": 0, "warning": 3, "blocked": 5}
SIGNS = {"fine": "ok", "warning": "warning", "blocked": "not possible"}


@click.command()
@options.shared("table", "json", "yaml", yes=True)
@click.option("--fix", is_flag=True, help="Install the Debian packages that are missing.")
@click.option(
    "--provider",
    type=click.Choice(["netns", "vagrant"]),
    help="Judge for this one.  [default: the lab file's]",
)
@click.pass_obj
def command(current: session.Session, fix: bool, provider: str | None) -> int:
    """Say whether a lab can run here, in which way, and what to change where it cannot.

    Of the lab file it says whether it can be read, and of a control plane that it names, which
    server that is and whether its kubeconfig can be used. Nobody is asked over the network.

    \b
      labkit doctor
      labkit doctor --fix --yes
      labkit doctor --provider vagrant

    Ends with 0 when all is well, 3 with warnings, 5 when no lab can run here yet.
    """
    from labkit.preflight import findings

    chosen = provider or current.world.planned_provider()
    if fix and chosen == "netns":
        current.world.ensure_packages(current.agrees)
    found = current.world.findings(chosen, current.name)
    verdict = findings.worst(found)
    if current.output == "table":
        click.echo(render(found, way(chosen), verdict))
    else:
        output.data(as_data(found, way(chosen), verdict), current.output)
    return EXIT[verdict]


def way(provider: str) -> str:
    """How machines are had here. Namespaces in one of two ways: root needs none for users."""
    if provider != "netns":
        return provider
    return "root" if system.is_root() else "rootless"


def render(found: tuple[Finding, ...], how: str, verdict: str) -> str:
    """One line for each finding, its cure below it, the verdict at the end."""
    lines = []
    for each in found:
        lines.append(f"{SIGNS[each.verdict]:<14}{each.id:<17}{each.what}")
        lines += [f"{'':<14}{'':<17}try: {each.fix}"] if each.fix else []
    end = {
        "fine": f"A lab can run here ({how}).",
        "warning": f"A lab can run here ({how}) once the warnings are dealt with.",
        "blocked": "No lab can run here yet.",
    }
    return "\n".join([*lines, end[verdict]])


def as_data(found: tuple[Finding, ...], how: str, verdict: str) -> dict[str, Any]:
    return {
        "schema": "labkit.dev/doctor",
        "version": 1,
        "way": how,
        "verdict": verdict,
        "findings": [each.to_json() for each in found],
    }
