"""A machine for tests: a real sshd on 127.0.0.1, in mount and pid namespaces of its own.

What a test installs, it installs into tmpfs folders that only this sshd and its children see; when
the namespace's first process ends, every process in it ends. As an ordinary user the namespaces
belong to a user namespace, in which sshd is root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labkit.model import commands
from labkit.ssh import connection, keys, pool
from labkit.ssh.endpoint import Endpoint

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
LogLevel ERROR
Subsystem sftp internal-sftp
"""

#: The machine's first process. sshd writes its pid when it listens: reading that pipe waits for it.
FIRST = """\
set -eu
mount -t tmpfs -o mode=755{size} tmpfs /run
cd /
cp -a --parents etc/alternatives etc/ld.so.* etc/group run
mount -t tmpfs -o mode=755{size} tmpfs etc
cp -a run/etc/. etc
for folder in /root /var; do mount -t tmpfs -o mode=755{size} tmpfs $folder; done
mkdir -p /run/sshd /var/log /var/lib
printf 'root:x:0:0::/root:/bin/sh\\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\\n' >/etc/passwd
printf 'root:NP:20000:0:99999:7:::\\n' >/etc/shadow
mkfifo {folder}/sshd.pid
{{ {sshd} -D -e -f {folder}/sshd_config </dev/null >{folder}/sshd.log 2>&1
   if [ -p {folder}/sshd.pid ]; then cat {folder}/sshd.log >{folder}/sshd.pid; fi; }} &
read -r pid <{folder}/sshd.pid
rm {folder}/sshd.pid
echo "$pid"
exec >&-
wait
"""


#: Prints what else runs there, a JSON list: neither the asking process nor what serves it.
PROCESSES = """
import glob, json, os
found, first = [], open("/proc/1/cmdline").read()
for name in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        line = open(name).read()
    except OSError:
        continue
    mine = int(name.split("/")[2]) in (os.getpid(), os.getppid())
    if line and not mine and line != first and not line.startswith(("sshd", "/usr/sbin/sshd")):
        found.append(" ".join(line.split(chr(0))[:-1]))
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Machine:
    """`first` is the process (as seen from outside) whose end is the machine's end."""

    endpoint: Endpoint
    folder: Path
    first: subprocess.Popen[str]

    def connect(self, **changes: object) -> connection.Connection:
        where = replace(self.endpoint, **changes)  # type: ignore[arg-type]
        return connection.Connection(where, commands.CommandLog())

    def pool(self) -> pool.Pool:
        return pool.Pool(lambda _: self.endpoint)

    def processes(self) -> list[str]:
        """The command lines of what runs on the machine, without sshd and its first shell."""
        with self.connect() as session:
            said = session.run(["python3", "-c", PROCESSES], record=False).stdout
        return sorted(json.loads(said))


def dial(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=10)


@contextlib.contextmanager
def serve(name: str = "node1", *, disk_size: str = "") -> Iterator[Machine]:
    """Run one machine. `disk_size` (`2m`) limits each of its folders."""
    if SSHD is None:
        pytest.skip("openssh-server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="lk-sshd-"))
    host, user = keys.generate_ed25519(), keys.generate_ed25519()
    keys.write_key(folder / "host_key", host.private_openssh)
    keys.write_key(folder / "user_key", user.private_openssh)
    (folder / "user_key.pub").write_text(user.public)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder))
    first = _start(folder, disk_size)
    try:
        where = Endpoint(name, "127.0.0.1", port, "root", host.public, folder / "user_key", dial)
        yield Machine(where, folder, first)
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, disk_size: str) -> subprocess.Popen[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    size = f",size={disk_size}" if disk_size else ""
    script = FIRST.format(folder=folder, sshd=SSHD, size=size)
    spaces = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
    first = subprocess.Popen(
        ["unshare", *user, *spaces, "sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert first.stdout is not None
    said = first.stdout.readline()
    if not said.strip().isdigit():
        first.kill()
        pytest.fail(f"no sshd for the test: {said}{first.communicate()[0]}")
    return first
