"""A file on a node changes in one step: the new text is written beside it, then takes its name.

`mv` within one file system is atomic. What must not happen is that half a file takes the name, so
the script counts first: a connection that broke looks to `cat` like the end of the file.
"""

from __future__ import annotations

from labkit import errors
from labkit.model import commands

#: $1 path, $2 mode, $3 size; the content on stdin.
PUT = """\
set -e
new="$1.labkit-new"
trap 'rm -f "$new"' EXIT
mkdir -p "${1%/*}/"
(umask 077 && cat >"$new")
[ "$(wc -c <"$new")" -eq "$3" ] || { echo "the connection broke" >&2; exit 1; }
chmod "$2" "$new"
mv -f "$new" "$1"
"""


def explain_failure(
    node: str, path: str, done: commands.Command
) -> errors.ProviderError | errors.CommandFailed:
    """Say what kept `path` from being written on `node`."""
    last = (done.stderr.strip().splitlines() or [f"status {done.exit_status}"])[-1]
    lower = done.stderr.lower()
    if "no space left" in lower or "quota exceeded" in lower:
        return errors.ProviderError(
            f"the disk is full: {path} could not be written; what was there is unchanged",
            hint=f"make room (`labkit exec {node} -- df -h {path}` shows what is used), "
            "then `labkit up` again",
            node=node,
        )
    if "read-only file system" in lower or "permission denied" in lower:
        return errors.ProviderError(
            f"{path} could not be written: {last}",
            hint="the SSH user must be root, or sudo must let it become root without a password",
            node=node,
        )
    return errors.ProviderError(f"{path} could not be written: {last}", node=node)
