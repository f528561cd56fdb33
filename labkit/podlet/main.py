"""The program: `podlet.pyz --hostname-override node1 --node-ip ... --pod-cidr ...`.

Four threads: the loop, which owns the pods; one watch for the pods, one for the nodes; the outbox.
And one for each log that somebody reads. TERM ends the podlet and leaves the pods running.
`podlet.pyz echo 8080/TCP` is the other program in the archive: that of the image labkit/echo, which
loads nothing of all this.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the podlet, or the echo, until it is told to stop; return the exit status."""
    if argv[:1] == ["echo"]:
        from labkit.podlet import echo

        return echo.main(argv[1:])
    from labkit.podlet import service

    return service.run(argv)
