"""`labkit capture`."""

from __future__ import annotations

from pathlib import Path

import click

from labkit.cli import complete, options, output, session
from labkit.inspection.capture import lines, pcapng


@click.command()
@options.shared()
@options.namespace()
@click.option("--node", "nodes", multiple=True, shell_complete=complete.nodes, help="Only this.")
@click.option("--interface", default="any", show_default=True)
@click.option(
    "--service", default="", shell_complete=complete.services, help="Only what is this Service's."
)
@click.option("--for", "seconds", type=options.Duration(), default="10s", show_default=True)
@click.option(
    "-w", "--write", type=click.Path(dir_okay=False, path_type=Path), help="A pcapng file."
)
@click.pass_obj
def command(
    current: session.Session,
    namespace: str,
    nodes: tuple[str, ...],
    interface: str,
    service: str,
    seconds: float,
    write: Path | None,
) -> None:
    """Record packets on several nodes at once, merged by time, each with its node.

    \b
      labkit capture --service app1 --for 5s
      labkit capture --node node1 --interface cbr0 -w lab.pcapng      for Wireshark
    """
    with current.lab() as lab:
        packets = lab.capture(
            nodes, service=service, namespace=namespace, interface=interface, seconds=seconds
        )
    output.lines(map(lines.render, packets))
    if write:
        write.write_bytes(pcapng.render(packets))
        output.note(f"{len(packets)} packets are in {write}")
