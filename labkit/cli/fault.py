"""`labkit fault`."""

from __future__ import annotations

import click

from labkit import errors
from labkit.cli import complete, options, output, session

ACTIONS = ("list", "inject", "random", "diagnose", "clear")
#: A diagnosis is not right, or what it names not mended; a fault is undone, and the lab not whole.
_NOT_YET = 1


@click.command()
@options.shared("table", "json", "yaml")
@click.option("--node", shell_complete=complete.nodes, help="Which node; `cluster` in a diagnosis.")
@click.option("--seed", type=int, help="The same number hides the same fault in the same lab.")
@click.option("--layer", help="Of a diagnosis: objects, rules, proxy, network or clock.")
@click.option(
    "--cause",
    metavar="FAULT",
    shell_complete=complete.faults,
    help="Of a diagnosis: one of those that `list` shows.",
)
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("fault", required=False, metavar="[FAULT]", shell_complete=complete.faults)
@click.pass_context
def command(
    context: click.Context,
    action: str,
    fault: str | None,
    node: str | None,
    seed: int | None,
    layer: str | None,
    cause: str | None,
) -> None:
    """Break the lab on purpose, find out what is broken, and make it whole again.

    \b
      labkit fault                                  all faults, and the one that the lab has
      labkit fault inject proxy-hung --node node2
      labkit fault random                           hides one: only what is noticed is told
      labkit fault diagnose --node node2 --layer proxy --cause proxy-hung
      labkit fault clear                            undoes it, and proves that

    A diagnosis is graded part by part, and the repair with it. `clear` works from any terminal,
    also after the one that injected the fault has died.
    """
    from labkit import faults

    current: session.Session = context.obj
    if bool(fault) != (action == "inject"):
        said = "needs a fault" if action == "inject" else "takes none"
        raise errors.UsageError(f"`fault {action}` {said}", hint="`labkit fault` lists them")
    with current.lab() as lab:
        if action == "list":
            output.show(faults.listing(lab), current.output, faults.FAULTS)
        elif action == "inject":
            output.show(faults.inject(lab, fault or "", node=node), current.output)
        elif action == "random":
            output.show(faults.random(lab, seed=seed), current.output)
        elif action == "clear":
            cleared = faults.clear(lab)
            output.show(cleared, current.output)
            context.exit(0 if cleared.ok else _NOT_YET)
        else:
            grade = faults.diagnose(lab, node=node, layer=layer, cause=cause)
            output.show(grade, current.output)
            context.exit(0 if grade.ok else _NOT_YET)
