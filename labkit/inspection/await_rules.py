"""Wait until this node's kube-proxy serves a Service. Runs on the node itself, as root.

    python3 -c TEXT NAMESPACE/NAME SECONDS [PART ...]

Ends with 0 when it does, with 4 when the time is up. "Serves" means that the Service's rules in
nat lead to a port where somebody listens: rules that a dead agent left behind do not count. Each
PART has to be in one of these rules: a Service that was made anew has the old one's name.

The kernel announces each change of its nf_tables rules, so this listens first, then looks, and
looks again after each announcement.
"""

import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

SERVED, LATE = 0, 4

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>: who tells, and the group that hears of rules.
NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
#: Nobody announces that a port is listened on, nor what iptables-legacy does; and the socket that
#: announcements fill may overflow. So look again after so many seconds in any case.
AGAIN_S = 0.5


def is_served(service: str, parts: Sequence[str] = ()) -> bool:
    rules = subprocess.run(
        ["iptables-save", "-t", "nat"], capture_output=True, text=True, check=True
    )
    own = "\n".join(re.findall(rf'.*--comment "{re.escape(service)}[":].*', rules.stdout))
    ports = set(re.findall(r" --to-ports (\d+)", own))
    sockets = subprocess.run(["ss", "-Hltun"], capture_output=True, text=True, check=True).stdout
    if not all(re.search(rf"{re.escape(part)}(\s|$)", own) for part in parts):
        return False
    return bool(ports) and all(re.search(rf":{port}\s", sockets) for port in ports)


def wait(service: str, seconds: float, parts: Sequence[str] = ()) -> int:
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as announcements:
        announcements.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        announcements.setblocking(False)  # noqa: FBT003
        while not is_served(service, parts):
            left = deadline - time.monotonic()
            if left <= 0:
                return LATE
            select.select([announcements], [], [], min(left, AGAIN_S))
            drain(announcements)
    return SERVED


def drain(announcements: socket.socket) -> None:
    """Forget what was announced so far: the next look sees all of it."""
    try:
        while announcements.recv(65536):
            pass
    except OSError:  # empty, or more came than it could hold
        pass


if __name__ == "__main__":
    raise SystemExit(wait(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
