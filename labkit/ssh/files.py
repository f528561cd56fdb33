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

#: How cat, mv and tar say that there is no room, in lower case.
_FULL = ("no space left", "quota exceeded", "wrote only")
_FORBIDDEN = ("read-only file system", "permission denied", "a password is required")


def explain_failure(node: str, path: str, done: commands.Command) -> errors.ProviderError:
    """Say what kept `path` from being written on `node`."""
    first = (done.stderr.strip().splitlines() or [f"status {done.exit_status}"])[0]
    said = done.stderr.lower()
    if any(words in said for words in _FULL):
        return errors.DiskFull(
            f"the disk is full: {path} could not be written; what was there is unchanged",
            hint=f"make room (`labkit exec {node} -- df -h {path}` shows what is used), "
            "then `labkit up` again",
            node=node,
        )
    if any(words in said for words in _FORBIDDEN):
        return errors.ProviderError(
            f"{path} could not be written: {first}",
            hint="the SSH user must be root, or sudo must let it become root without a password",
            node=node,
        )
    return errors.ProviderError(f"{path} could not be written: {first}", node=node)
