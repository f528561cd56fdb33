"""`labkit snapshot`."""

from __future__ import annotations

import click

from labkit import errors
from labkit.cli import options, output, session

ACTIONS = ("save", "restore", "ls", "rm")


@click.command()
@options.shared("table", "json", "yaml")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("snapshot", required=False, metavar="[NAME]")
@click.pass_obj
def command(current: session.Session, action: str, snapshot: str | None) -> None:
    """Keep all machines as they are now, disks and memory, and go back to that later.

    \b
      labkit snapshot save before
      labkit snapshot restore before
      labkit snapshot ls

    The machines' clocks are then set to what time it is. Only the provider vagrant can, with
    libvirt, virtualbox, vmware_desktop, parallels or hyperv.
    """
    if bool(snapshot) == (action == "ls"):
        said = "lists all, and takes no name" if snapshot else "needs a name"
        raise errors.UsageError(
            f"`snapshot {action}` {said}", hint="`labkit snapshot --help` shows examples"
        )
    with current.lab() as lab:
        verbs = {
            "save": lab.snapshot_save,
            "restore": lab.snapshot_restore,
            "rm": lab.snapshot_delete,
        }
        output.show(verbs[action](snapshot) if snapshot else lab.snapshots(), current.output)
