"""`labkit kubectl`."""

from __future__ import annotations

import click

from labkit import errors
from labkit.cli import options, session

HOW_TO_GET_IT = (
    "https://kubernetes.io/docs/tasks/tools/ says how to get it (Debian 12's kubernetes-client is "
    "1.20: enough for all but exec, cp and port-forward); "
    "`labkit get`, `apply` and `delete` work without it"
)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@options.shared()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(current: session.Session, arguments: tuple[str, ...]) -> int:
    """Run the real kubectl with the lab's kubeconfig, from where the API server can be reached.

    \b
      labkit kubectl get pods -o wide
      labkit kubectl --name other -- get services -A

    labkit's own options come first; everything after them is kubectl's.
    """
    if not current.world.find_program("kubectl"):
        raise errors.NotSupported("kubectl is not installed", hint=HOW_TO_GET_IT)
    with current.lab() as lab:
        argv = lab.kubectl_argv(arguments)
    return current.world.become(argv)
