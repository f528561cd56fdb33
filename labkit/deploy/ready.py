"""Wait until the API server of this machine answers /readyz. Runs on the machine itself.

    python3 -c TEXT PORT CA_FILE UNIT SECONDS

Ends with 0 when it answers, with 3 when its unit ended meanwhile, with 4 when the time is up.

Nothing in Linux tells a process that another has begun to listen on a TCP port, and a server need
not be ours, so that it could tell us. So this asks the kernel anew: a refused connection over
loopback costs 30 us, and the pause after it grows from 5 ms to a tenth of a second. It is done
here, not over SSH, so that the way from learner to machine adds one round trip, not one to each
try.
"""

import contextlib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

READY, ENDED, LATE = 0, 3, 4
SHORTEST_S, LONGEST_S = 0.005, 0.1
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def answers(port: int, context: ssl.SSLContext) -> bool:
    """True for any answer that only a started server gives; 401 and 403 mean it knows users."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=2) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(REQUEST)
        return secure.recv(64).split(b" ")[1:2] in ([b"200"], [b"401"], [b"403"])
    return False


def process_of(unit: str) -> str:
    """The pid of the unit's program; another one when it was started again, 0 where none runs."""
    try:
        words = Path(f"/run/labkit/{unit}.pid").read_text().split()
    except FileNotFoundError:
        return process_by_systemd(unit)
    return words[3] if len(words) == 6 else "0"


def process_by_systemd(unit: str) -> str:
    argv = ["systemctl", "show", f"labkit-{unit}", "-p", "MainPID", "--value"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return "0"


def wait(port: int, ca_file: str, unit: str, seconds: float) -> int:
    end = time.monotonic() + seconds
    context = ssl.create_default_context(cafile=ca_file)
    # Asked once: each question to systemd costs an emulated machine as much as twenty tries.
    process, pause = process_of(unit), SHORTEST_S
    while not answers(port, context):
        if process == "0" or not Path("/proc", process).exists():
            return ENDED
        if time.monotonic() > end:
            return LATE
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_S)
    return READY


if __name__ == "__main__":
    sys.exit(wait(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
