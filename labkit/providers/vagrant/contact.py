"""The first time that a machine is met: whose host key it has, which key may log in.

A machine from a box accepts Vagrant's well-known key, which the whole world has. Right after it was
made, labkit takes the way that Vagrant itself takes, notes the host key that is shown there, and
puts the lab's own key in the place of the well-known one. From then on the machine must show that
host key, and only the lab gets in.
"""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from labkit import errors
from labkit.model import commands
from labkit.providers.vagrant import calls
from labkit.ssh import connection, endpoint, wire

#: $1 is the learner's time; leases, certificates and tokens go by it. Says what time it is then.
SET_CLOCK = """\
off=$(($1 - $(date +%s)))
if [ "$off" -gt 1 ] || [ "$off" -lt -1 ]; then date -s "@$1" >/dev/null; fi
date +%s
"""
#: $1 is the user, $2 the lab's public key. The new file takes its name when it is complete.
REPLACE_KEY = """\
set -eu
home=$(getent passwd "$1" | cut -d: -f6)
install -d -m 700 -o "$1" "$home/.ssh"
printf '%s\\n' "$2" >"$home/.ssh/authorized_keys.labkit-new"
chown "$1" "$home/.ssh/authorized_keys.labkit-new"
chmod 600 "$home/.ssh/authorized_keys.labkit-new"
mv -f "$home/.ssh/authorized_keys.labkit-new" "$home/.ssh/authorized_keys"
"""
#: How far a clock may be off, and how often it is set until it is not: what is on its way for
#: seconds, to a machine that is emulated and busy, is old when it arrives.
CLOCK_S, CLOCK_TRIES = 2, 5
#: Between two tries to reach a machine that boots: nothing tells when its sshd is there.
PAUSE_S = 0.2


def await_banner(name: str, found: calls.SshDetails, *, within_s: float) -> None:
    """Return when an sshd greets there. Raises TimedOut: the machine runs, and does not answer."""
    end = time.monotonic() + within_s
    while not _greets(found):
        if time.monotonic() > end:
            raise errors.TimedOut(
                f"the machine runs, and no sshd answered at {found.host} port {found.port} "
                f"within {within_s:g} s",
                hint="`labkit up` tries again; the provider's own window, or `virsh console`, "
                "shows how it boots; `labkit down --purge` and `labkit up` make it anew",
                node=name,
            )
        time.sleep(PAUSE_S)


def _greets(found: calls.SshDetails) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((found.host, found.port), timeout=5) as sock,
    ):
        return sock.recv(4) == b"SSH-"
    return False


def meet(
    name: str, found: calls.SshDetails, own: endpoint.Endpoint, public_key: str
) -> connection.Connection:
    """Return a connection to the machine, having made the lab's key the only one.

    `own` is what the endpoint will be but for the host key. Raises ConnectionFailed.
    """
    tried = dict.fromkeys((own.private_key, *map(Path, found.keys)))
    try:
        session = connection.Connection.meet(own, tried, commands.CommandLog())
    except wire.NoKeyAccepted as error:
        raise errors.ConnectionFailed(
            "the machine accepts neither the lab's key nor Vagrant's",
            hint="`labkit down --purge` and `labkit up` make the machines and keys again",
            node=name,
        ) from error
    session.script(REPLACE_KEY, args=[own.user, public_key])
    return session


def set_clock(session: connection.Connection) -> None:
    """Give the machine the learner's time: one that slept, or was restored, has that of then."""
    session.connect()  # from here on, a command is on its way for a moment only
    for _ in range(CLOCK_TRIES):
        said = session.script(SET_CLOCK, args=[str(round(time.time()))]).stdout
        if abs(int(said) - time.time()) < CLOCK_S:
            return
