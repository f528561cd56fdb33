"""`labkit explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from labkit.cli import options, output, session


class RuleCommand(click.Command):
    """A command whose argument may begin with a dash, as rules do: `'-A INPUT -j DROP'`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args:
            quoted = [arg for arg in args if arg.startswith("-") and " " in arg]
            args = [arg for arg in args if arg not in quoted] + ["--", *quoted]
        return super().parse_args(ctx, args)


@click.command(cls=RuleCommand)
@options.shared("table", "json", "yaml")
@click.option(
    "--file", "file", type=click.Path(allow_dash=True), help="A saved rule set; - is stdin."
)
@click.option("--chain", default="", metavar="NAME", help="Only this chain of the file.")
@click.argument("rule", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(current: session.Session, rule: tuple[str, ...], file: str | None, chain: str) -> None:
    """Say in plain words what an iptables rule does, each match and its target.

    \b
      labkit explain '-A INPUT -p tcp --dport 22 -j ACCEPT'
      labkit explain 'iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080'
      labkit explain --file rules.txt                 all that iptables-save printed
      iptables-save -c | labkit explain --file - --chain INPUT
    """
    if bool(rule) == bool(file):
        raise click.UsageError("name either a rule (in quotes) or --file")
    output.show(_explain_file(file, chain) if file else _explain_rule(rule), current.output)


def _explain_rule(words: tuple[str, ...]) -> Any:
    import shlex

    from labkit.inspection.explain import reading
    from labkit.inspection.explain import rule as explaining

    text = words[0] if len(words) == 1 else shlex.join(words)
    typed = reading.parse_typed(text)
    return explaining.explain_rule(typed.rule, table=typed.table)


def _explain_file(path: str, chain: str) -> Any:
    from labkit import errors
    from labkit.inspection.explain import ruleset
    from labkit.model import ruletext

    text = sys.stdin.read() if path == "-" else _read(Path(path))
    parsed = ruletext.parse_ruleset(text)
    found = ruleset.explain_ruleset(parsed, name="stdin" if path == "-" else path, chain=chain)
    if chain and not found.chains:
        names = sorted({each.name for table in parsed.tables for each in table.chains})
        raise errors.NothingMatched(
            f"there is no chain {chain} in {path}", hint=f"it has {', '.join(names) or 'none'}"
        )
    return found


def _read(path: Path) -> str:
    from labkit import errors

    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UsageError(f"cannot read {path}: {error}", hint="name a text file") from error
