"""Runs on the sender's machine: holds one HTTP connection, and asks over it whenever it is told to.

    python3 on_sender.py ADDRESS PORT SECONDS

It says in one line of JSON from which address it holds it. Each line on its stdin is one request,
which is answered within so many seconds or is no answer; what becomes of it is one line each. A
connection that has ended stays so: nothing is dialled again. It ends with its stdin.

Only the standard library: this file is sent to the machine as it stands.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any


def main(address: str, port: str, seconds: str) -> None:
    connection = http.client.HTTPConnection(address, int(port), timeout=float(seconds))
    try:
        connection.connect()
    except OSError as error:
        say(error=str(error))
        return
    connection.auto_open = 0
    own, number = connection.sock.getsockname()[:2]
    say(source=f"{own}:{number}")
    for _ in sys.stdin:
        say(**ask(connection))


def say(**told: Any) -> None:
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


def ask(connection: http.client.HTTPConnection) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        connection.request("GET", "/")
        body = connection.getresponse().read().decode(errors="replace")
    except http.client.NotConnected:
        return {"error": "the connection has ended"}
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return {"error": str(error) or "the connection was closed without an answer"}
    return {"body": body, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    main(*sys.argv[1:])
