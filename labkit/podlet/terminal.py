"""A terminal for a program that has none: a pseudo-terminal, whose other end is a file descriptor.

What is written there is typed on the program's keyboard; what is read is what its screen shows.
The kernel echoes, edits lines, and makes a signal of Ctrl-C, but only for a program whose
*controlling* terminal it is; so it has to be started as the head of a session of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence


def start(argv: Sequence[str], env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program at a terminal of its own; return it with the end that is not its own."""
    ours, theirs = os.openpty()
    try:
        words = ("setsid", "--ctty", *argv)
        process = subprocess.Popen(words, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs)
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return process, ours


def resize(terminal: int, wanted: bytes) -> None:
    """Tell the program how large its window is: `{"Width": 80, "Height": 24}`."""
    with contextlib.suppress(ValueError, KeyError, TypeError, struct.error):
        size = json.loads(wanted)
        packed = struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, packed)
