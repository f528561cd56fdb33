"""`labkit inspect`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from labkit.cli import complete, options, output, session

if TYPE_CHECKING:
    from labkit.lab import Lab

#: The API server's own Service; a learner who wants it names it.
OWN = ("default", "kubernetes")
#: What can stand in the place of a Service's name. `inspect service NAME` is never one of them.
LAYERS = ("chains", "rules", "conntrack", "sockets", "connections", "endpoints", "node")

Take = Callable[[], output.Showable]


@click.command()
@options.shared("table", "json", "yaml")
@options.namespace()
@click.option("--node", shell_complete=complete.nodes, help="Only what this node has.")
@click.option("--host", metavar="USER@NODE", help="A node of any cluster, over SSH; only reads.")
@click.option("--ssh-config", default="", metavar="FILE", help="Another ~/.ssh/config for --host.")
@click.option("--file", "file", metavar="FILE", help="What iptables-save printed; - is stdin.")
@click.option("--chain", default="", metavar="NAME", help="Only this one, of chains and rules.")
@click.option("--diff", metavar="SINCE", help="What changed since a saved -o json, or in 5s.")
@click.option("--watch", is_flag=True, help="Again and again; marks what changed.")
@click.option("--interval", "interval_s", type=options.Duration(), default="1s", show_default=True)
@click.argument("what", nargs=-1, shell_complete=complete.services)
@click.pass_obj
def command(
    current: session.Session,
    /,
    what: tuple[str, ...],
    diff: str | None,
    watch: bool,
    interval_s: float,
    **where: Any,
) -> None:
    """Show what a Service became: rules with counters, proxy ports, processes, endpoints.

    \b
      labkit inspect app1                      also: labkit inspect service app1
      labkit inspect app1 --node node1
      labkit inspect                           every Service there is
      labkit inspect app1 --watch              marks what changes
      labkit inspect app1 -o json > before     and later: labkit inspect app1 --diff before
      labkit inspect rules --chain KUBE-PORTALS-HOST
      labkit inspect app1 --host admin@node7   any Kubernetes node, userspace or iptables mode
      labkit inspect --file rules.txt

    Layers: chains, rules, conntrack, sockets, connections, endpoints, node.
    """
    layer, name = read_words(what)
    if diff and watch:
        raise click.UsageError("--diff and --watch do not go together")
    with _source(current, layer, name, **where) as take:
        if diff or watch:
            from labkit.cli import looks

            looks.diff(take, diff, current) if diff else looks.watch(take, interval_s, current)
        else:
            _show(take(), current)


def read_words(what: tuple[str, ...]) -> tuple[str, str]:
    """The layer and the Service: `app1`, `service app1`, `chains`, nothing."""
    match what:
        case ():
            return "service", ""
        case (layer,) if layer in LAYERS:
            return layer, ""
        case (name,) | ("service", name):
            return "service", name
    raise click.UsageError(f"{' '.join(what)}: name a Service, or one of {', '.join(LAYERS)}")


@contextlib.contextmanager
def _source(
    current: session.Session,
    layer: str,
    name: str,
    *,
    host: str | None,
    file: str | None,
    ssh_config: str,
    namespace: str,
    node: str | None,
    chain: str,
) -> Iterator[Take]:
    """What takes one look; connections are kept for the next."""
    if host and file:
        raise click.UsageError("name either --host or --file")
    if host or file:
        from labkit.cli import sources

        service = "/".join(split(name, namespace)) if name else ""
        if host:
            opened = current.world.open_host(host, ssh_config)
            yield lambda: sources.from_host(opened, layer, service, chain)
        else:
            yield lambda: sources.from_file(file or "", layer, service, chain)
        return
    with current.lab() as lab:
        if layer == "service":
            yield lambda: _inspect(lab, name, namespace, node)
        else:
            yield lambda: lab.inspect_layer(layer, node=node, chain=chain)


class Several:
    """Many Services, one after the other."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found

    def __repr__(self) -> str:
        return "\n\n".join(repr(each) for each in self.found)

    def to_json(self) -> dict[str, Any]:
        return output.envelope("service-inspections", (each.to_json() for each in self.found))


def _inspect(lab: Lab, name: str, namespace: str, node: str | None) -> output.Showable:
    if name:
        where, service = split(name, namespace)
        return lab.inspect(service, namespace=where, node=node)
    names = find_services(lab)
    return Several([lab.inspect(one, namespace=where, node=node) for where, one in names])


def _show(found: output.Showable, current: session.Session) -> None:
    nothing = isinstance(found, Several) and not found.found
    if not nothing or current.output != "table":
        output.show(found, current.output)
    if nothing:
        output.note("there is no Service; `labkit up` applies the example")


def split(service: str, namespace: str) -> tuple[str, str]:
    """Namespace and name of `app1` or `default/app1`."""
    where, _, name = service.rpartition("/")
    return where or namespace, name


def find_services(lab: Lab) -> list[tuple[str, str]]:
    """Every Service of the lab but the API server's own."""
    metas = [obj["metadata"] for obj in lab.get("services", namespace=None).objects]
    names = [(str(meta["namespace"]), str(meta["name"])) for meta in metas]
    return [name for name in names if name != OWN]
