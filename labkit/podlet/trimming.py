"""Keeping logs small: kubelet begins a new file at 10 MiB, and this gives up the old lines instead.

A container writes straight into its log, so nothing can make it open another file. But a file can
lose its beginning (`fallocate --punch-hole`): those blocks go back to the disk, and all that is
left stays at its offset. No line is copied, so none is lost that is being written meanwhile, and a
reader is where it was. `ls -l` goes on to count what is gone, and `du` does not; it reads as zeros,
which `logs` passes over.
"""

from __future__ import annotations

import logging
import os
import pathlib
import subprocess
from collections.abc import Iterable

log = logging.getLogger(__name__)

#: As kubelet: a log may have so many bytes, and is looked at so often.
LIMIT = 10 * 1024 * 1024
EVERY_S = 10.0
#: What is left of it then.
KEPT = LIMIT // 2
#: What `st_blocks` counts in, whatever the file system's own blocks are.
_UNIT = 512


def plan_cut(found: os.stat_result, seen: int) -> int:
    """How many bytes at the beginning are to go, in whole blocks; 0 for none.

    Only what was there at the look before, when the file had `seen` bytes: so whoever follows the
    log has had a while to read it, however fast it is written.
    """
    if found.st_blocks * _UNIT <= LIMIT:
        return 0
    return max(0, min(found.st_size - KEPT, seen)) // found.st_blksize * found.st_blksize


class Trimmer:
    """Remembers how long each log was when it looked last."""

    def __init__(self) -> None:
        self._seen: dict[pathlib.Path, int] = {}

    def trim(self, files: Iterable[pathlib.Path]) -> None:
        """Look at every log, and give up the beginning of each that has become too long."""
        before, self._seen = self._seen, {}
        for file in files:
            try:
                found = file.stat()
                self._seen[file] = found.st_size
                if cut := plan_cut(found, before.get(file, 0)):
                    give_up(file, cut)
            except FileNotFoundError:
                log.debug("%s: removed meanwhile", file)
            except (OSError, subprocess.SubprocessError) as error:
                said = getattr(error, "stderr", "") or error
                log.warning("%s grows beyond %d bytes: %s", file, LIMIT, said)


def give_up(file: pathlib.Path, count: int) -> None:
    """Free the first so many bytes. They are counted from the first that the file ever had."""
    argv = ("fallocate", "--punch-hole", "--offset=0", f"--length={count}", str(file))
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=10)
    log.info("%s: what came before byte %d is given up", file, count)
