"""A stock kube-apiserver with its etcd on loopback, driven like our own server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.contracts import apiserver
from tests.stock import build

START_TIMEOUT_S = 60
#: Where it says that it is. (It does not advertise loopback.)
ADDRESS = "192.168.56.10"
#: Alpha in 1.20 and final in later releases, with the same answers: what our server speaks, too.
FEATURES = "IPv6DualStack=true"
#: Would refuse every pod until a controller has made its namespace's ServiceAccount.
WITHOUT = "ServiceAccount"


@dataclass
class StockServer(apiserver.Server):
    """`process` is the API server; its etcd ends with it."""

    programs: Path = Path()
    address: str = ADDRESS
    etcd: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, *more: str) -> None:
        """Return when the server is ready. It keeps its port over restarts."""
        store = self._start_etcd() if self.etcd is None else f"http://127.0.0.1:{self._etcd_port}"
        self.port = self.port or free_port()
        with (self.folder / "kube-apiserver.log").open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[assignment]
                [*self._argv(store), *more], stdout=log, stderr=log
            )
        self._await_ready()

    def stop(self, *, kill: bool = False) -> int:
        """End the API server alone; etcd goes on."""
        assert self.process
        self.process.kill() if kill else self.process.terminate()
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def close(self) -> None:
        """End everything. Nothing here has to last: killing is enough."""
        for process in (self.process, self.etcd):
            if process:
                process.kill()
                process.wait()

    def read_log(self) -> str:
        return (self.folder / "kube-apiserver.log").read_text()

    def _start_etcd(self) -> str:
        self._etcd_port = free_port()
        store = f"http://127.0.0.1:{self._etcd_port}"
        peers = f"http://127.0.0.1:{free_port()}"
        flags = {
            "data-dir": str(self.folder / "etcd"),
            "listen-client-urls": store,
            "advertise-client-urls": store,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }
        with (self.folder / "etcd.log").open("ab") as log:
            argv = ["etcd", *(f"--{name}={value}" for name, value in flags.items())]
            self.etcd = subprocess.Popen(argv, stdout=log, stderr=log)
        return store

    def _argv(self, store: str) -> list[str]:
        files = self.folder
        flags = {
            "bind-address": "0.0.0.0",
            "advertise-address": self.address,
            "secure-port": str(self.port),
            "etcd-servers": store,
            "tls-cert-file": f"{files}/server.crt",
            "tls-private-key-file": f"{files}/server.key",
            "client-ca-file": f"{files}/ca.crt",
            "token-auth-file": f"{files}/tokens.csv",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": f"{files}/accounts.pub",
            "service-account-signing-key-file": f"{files}/accounts.key",
            "cert-dir": str(files),
            "service-cluster-ip-range": "10.96.0.0/16",
            "authorization-mode": "Node,RBAC",
            "disable-admission-plugins": WITHOUT,
            "feature-gates": FEATURES,
            "profiling": "false",
        }
        program = str(self.programs / "kube-apiserver")
        return [program, *(f"--{name}={value}" for name, value in flags.items())]

    def _await_ready(self) -> None:
        """Ask until it answers: nobody tells when it does."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            assert self.process
            assert self.process.poll() is None, self.read_log()[-2000:]
            assert time.monotonic() < deadline, self.read_log()[-2000:]
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        """The last thing that a new server makes is its own Service."""
        with contextlib.suppress(OSError):
            return self.request("GET", "/api/v1/namespaces/default/services/kubernetes")[0] == 200
        return False


def free_port() -> int:
    """Of loopback: nothing else takes ports at random there, outgoing connections aside."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _write_service_account_key(folder: Path) -> None:
    signed = apiserver.sign("accounts")
    signed.write(folder, "accounts")
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = signed.key.public_key().public_bytes(serialization.Encoding.PEM, public)
    (folder / "accounts.pub").write_bytes(pem)


@contextlib.contextmanager
def running(folder: Path, *more: str, address: str = ADDRESS) -> Iterator[StockServer]:
    """A server with the users of `apiserver.TOKENS`. Raises CannotBuildError."""
    programs = build.ensure()
    apiserver.prepare(folder)
    lines = [
        f'{token},{user["user"]},{token},"{",".join(user["groups"])}"'
        for token, user in apiserver.TOKENS.items()
    ]
    _write_service_account_key(folder)
    (folder / "tokens.csv").write_text("\n".join(lines) + "\n")
    server = StockServer(folder, programs=programs, address=address)
    try:
        server.start(*more)
        yield server
    finally:
        server.close()
