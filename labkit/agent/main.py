"""The program: read the flags, then run until told to stop.

kube-proxy --kubeconfig=... --node-ip=192.168.56.11      until SIGTERM; the rules stay, and open
                                                         connections may go on for a while
kube-proxy --cleanup                                     removes the rules, needs no API server
"""

from __future__ import annotations

import contextlib
import logging
import resource
import sys
from collections.abc import Sequence

from labkit import errors
from labkit.agent import flags as command_line
from labkit.agent import kernel

log = logging.getLogger("labkit.agent")

#: From here on `--v` shows every connection that failed, and why.
_VERBOSE = 2


def main(argv: Sequence[str]) -> int:
    """Run the program. Returns its exit status."""
    _set_up_logging()
    if {"-h", "--help"} & set(argv):
        sys.stdout.write(command_line.render_help())
        return 0
    try:
        options = command_line.parse_flags(argv)
        if options.verbosity >= _VERBOSE:
            logging.getLogger().setLevel(logging.DEBUG)
        return _clean_up() if options.cleanup else _serve(options)
    except errors.LabkitError as error:
        log.error("%s%s", error, f"; {error.hint}" if error.hint else "")  # noqa: TRY400
        return error.exit_code


def _clean_up() -> int:
    changed = kernel.Kernel().clean_up()
    log.info("%s", "the rules are gone" if changed else "there were no rules")
    return 0


def _serve(options: command_line.Flags) -> int:
    from labkit.agent import agent  # here, because --cleanup needs nothing of it

    try:
        host_ip = agent.find_host_ip(options)
    except OSError as error:
        raise errors.ConfigError(
            "this node's address cannot be found out: there is no default route",
            hint="say which it is: --node-ip=192.168.56.11",
        ) from error
    _raise_descriptor_limit()
    running = agent.Agent(options, host_ip)
    running.run()
    return 0


def _set_up_logging() -> None:
    """Lines as kube-proxy's: `I1123 18:57:03.123 default/app1: proxy port 40193/TCP`."""
    handler = logging.StreamHandler(sys.stderr)
    form = "%(levelname).1s%(asctime)s.%(msecs)03d %(message)s"
    handler.setFormatter(logging.Formatter(form, datefmt="%m%d %H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _raise_descriptor_limit() -> None:
    """As many descriptors as we may have; a connection needs two, and four more for bulk."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
