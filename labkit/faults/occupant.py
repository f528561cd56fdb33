"""A program that stays on a node and is in kube-proxy's way. Runs on the node, as root.

    python3 -c TEXT rival TABLE CHAIN [RULE ...]    takes a rule (without one: all) out of a chain
                                                    whenever somebody has put it in
    python3 -c TEXT hog ADDRESS PORT COUNT          holds so many connections open, to itself

Returns when the work has been done once, and goes on in the background, in a session of its own;
its number and start are in /run/labkit/fault.pid. The kernel announces each change of rules.
"""

import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

PID_FILE = "/run/labkit/fault.pid"
# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>
NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
#: What iptables-legacy does is not announced: look again after so many seconds in any case.
AGAIN_S = 1.0
_HELD: list[socket.socket] = []


def take_out(table: str, chain: str, rule: Sequence[str]) -> None:
    """Take the rule out, or all that is in the chain."""
    iptables = ("iptables", "-w", "5", "-t", table)
    if rule:
        while _run(*iptables, "-C", chain, *rule):
            _run(*iptables, "-D", chain, *rule)
        return
    listed = subprocess.run((*iptables, "-S", chain), capture_output=True, text=True, check=False)
    if "\n-A " in listed.stdout:
        _run(*iptables, "-F", chain)


def rival(table: str, chain: str, *rule: str) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as news:
        news.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        news.setblocking(False)  # noqa: FBT003
        take_out(table, chain, rule)
        _go_on(lambda: _watch(news, lambda: take_out(table, chain, rule)))


def _watch(news: socket.socket, react: Callable[[], None]) -> None:
    while True:
        select.select([news], [], [], AGAIN_S)
        try:
            while news.recv(65536):
                pass
        except OSError:  # empty, or more came than it could hold
            pass
        react()


def hog(address: str, port: str, count: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server((address, int(port)), backlog=int(count))
    for _ in range(int(count)):
        client = socket.socket()
        client.settimeout(0.5)
        try:
            client.connect((address, int(port)))
        except OSError:  # the table is full: that was the aim
            break
        _HELD.extend((client, listener.accept()[0]))
    _go_on(lambda: _rest(listener))


def _rest(listener: socket.socket) -> None:
    while True:
        _HELD.append(listener.accept()[0])


def _go_on(work: Callable[[], None]) -> None:
    """Leave the work to a process of its own, and return. It lets go of our stdout."""
    if os.fork():
        return
    os.setsid()
    with open("/proc/self/stat", encoding="ascii") as stat:  # noqa: PTH123
        ticks = stat.read().rpartition(")")[2].split()[19]
    with open(PID_FILE, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{os.getpid()} {ticks}\n")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    work()


def _run(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if sys.argv[1] == "rival":
        rival(*sys.argv[2:])
    else:
        hog(*sys.argv[2:])
