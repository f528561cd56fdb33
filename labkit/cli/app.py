"""The verbs, and where each one is. A verb's file is imported when the verb is typed."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

import labkit as package
from labkit.cli import session
from labkit.model import words

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Under each heading: the verb and what it does. Its command is `command` in `labkit.cli.VERB`.
VERBS = {
    "Lessons": {
        "lab": "Open the lessons in JupyterLab, on a lab that runs.",
        "lessons": "Start, check and solve lessons; show how far you have come.",
        "fault": "Break the lab on purpose, find out how, and make it whole again.",
    },
    "The lab": {
        "up": "Bring the lab up, or mend what differs.",
        "down": "End everything that runs; keep the lab's state.",
        "status": "Show the lab's machines and services.",
        "ls": "List every lab on this machine.",
    },
    "Services and pods": {
        "inspect": "Show a Service's rules, counters, ports and endpoints on every node.",
        "probe": "Send real requests to a Service; show which rules moved, who answered.",
        "trace": "Follow one real request hop by hop, over all nodes and through the proxy.",
        "predict": "Say from the rules alone where a request to a Service would go.",
        "capture": "Record packets on several nodes at once, for Wireshark or the terminal.",
        "events": "Stream what happens in the lab: rules, connections, endpoints, pods, nodes.",
        "explain": "Say in plain words what an iptables rule does.",
        "apply": "Create or change objects from a manifest.",
        "get": "Show objects.",
        "delete": "Delete objects.",
        "kubectl": "Run the real kubectl with the lab's kubeconfig.",
        "kubeconfig": "Print the kubeconfig of the lab's API server.",
    },
    "Machines": {
        "exec": "Run a command on a node or in a pod.",
        "ssh": "Log in to a node with OpenSSH's own client.",
        "ssh-config": "Print the OpenSSH configuration for the lab's nodes.",
        "start": "Start one machine, and what runs on it.",
        "stop": "End one machine; the others go on.",
        "restart": "End one machine and start it again.",
        "snapshot": "Keep all machines as they are, or go back to that.",
        "logs": "Print the log of a service on a node, or of a pod.",
    },
    "This machine": {
        "box": "Make and keep boxes: the disks that Vagrant's machines start from.",
        "bundle": "Pack boxes, wheels and notebooks for a room without internet.",
        "doctor": "Say what this machine lacks for a lab, and what to change.",
        "version": "Print labkit's version.",
        "completion": "Print the completion script for a shell.",
    },
}
SETTINGS = {
    "auto_envvar_prefix": "LABKIT",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}
SUMMARIES = {verb: summary for verbs in VERBS.values() for verb, summary in verbs.items()}


class Verbs(click.Group):
    """Finds verbs by name, lists them by subject, and gives every error its words and status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUMMARIES:
            return None
        module = importlib.import_module(f"labkit.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in SUMMARIES and not ctx.resilient_parsing:
            hint = words.suggest(args[0], SUMMARIES)
            raise click.UsageError(f"there is no verb {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                formatter.write_dl(list(verbs.items()), col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [(verb, text) for verb, text in SUMMARIES.items() if verb.startswith(incomplete)]
        return [CompletionItem(verb, help=text) for verb, text in found]

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        sys.stdout.flush()  # a reader that has gone shows itself here, not when Python ends
        return result

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run, and end the process with the status that the verb returned (None: 0)."""
        current = extra.setdefault("obj", session.Session())
        try:
            status = super().main(args, *rest, **extra | {"standalone_mode": False})
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort of all
            status = _fail(error, current, sys.argv[1:] if args is None else args)
        sys.exit(status or 0)


def _fail(error: BaseException, current: session.Session, args: Sequence[str]) -> int:
    from labkit.cli import failures

    if current.debug:
        traceback.print_exception(error, file=sys.stderr)
    verb = next((arg for arg in args if arg in SUMMARIES), "")
    failure = failures.explain(error, verb)
    failures.say(failure, output=current.output, events=current.events)
    return failure.exit_status


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    subcommand_metavar="VERB ...",
    context_settings=SETTINGS,
    epilog="`labkit VERB --help` shows examples. Every option is also a variable: "
    "LABKIT_UP_WORKERS=3, and LABKIT_NAME for --name.",
)
@click.version_option(package.__version__, prog_name="labkit", allow_from_autoenv=False)
@click.pass_context
def labkit(ctx: click.Context) -> None:
    """Kubernetes Service networking on a real multi-node cluster.

    \b
      labkit up                a cluster, the example Service, and the ways to it
      labkit inspect app1      its rules and counters on every node
      labkit down              end it; the next `up` goes on with the same objects
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
