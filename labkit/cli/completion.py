"""`labkit completion`."""

from __future__ import annotations

import click
from click import shell_completion

from labkit.cli import options


@click.command()
@options.shared()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes verbs, options, labs, nodes, pods and kinds.

    \b
      eval "$(labkit completion bash)"                       for this shell
      labkit completion bash > /etc/bash_completion.d/labkit for every one
      labkit completion zsh > "${fpath[1]}/_labkit"
      labkit completion fish > ~/.config/fish/completions/labkit.fish
    """
    kind = shell_completion.get_completion_class(shell)
    if kind:
        script = kind(ctx.find_root().command, {}, "labkit", "_LABKIT_COMPLETE").source()
        click.echo(script)
