"""A real API server process on loopback, with a throwaway CA, and clients for it."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKENS = {
    "admin": {"user": "kubernetes-admin", "groups": ["system:masters"]},
    "proxy": {"user": "system:kube-proxy:node1", "groups": ["system:node-proxiers"]},
    "node1": {"user": "system:node:node1", "groups": ["system:nodes"]},
}
_SERVING = re.compile(r"serving on 127\.0\.0\.1:(\d+)")
_PEM = serialization.Encoding.PEM


# --- certificates --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str) -> None:
        (folder / f"{name}.crt").write_bytes(self.certificate.public_bytes(_PEM))
        secret = self.key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(secret)


def sign(common_name: str, ca: Signed | None = None, organization: str = "") -> Signed:
    """A certificate for loopback; without a CA, one that is a CA itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    subject = x509.Name(names)
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca is None, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
    )
    return Signed(builder.sign(ca.key if ca else key, hashes.SHA256()), key)


# --- the process ---------------------------------------------------------------------------------


@dataclass
class Server:
    """One server's files; `start` and `stop` its process as often as a test likes."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _reader: threading.Thread = field(default_factory=threading.Thread, repr=False)
    #: What its processes have written to stderr.
    log: list[str] = field(default_factory=list, repr=False)

    def argv(self, *more: str) -> list[str]:
        flags = {
            "bind-address": "127.0.0.1",
            "secure-port": str(self.port),
            "tls-cert-file": str(self.folder / "server.crt"),
            "tls-private-key-file": str(self.folder / "server.key"),
            "client-ca-file": str(self.folder / "ca.crt"),
            "token-auth-file": str(self.folder / "tokens.json"),
            "advertise-address": "192.168.56.10",
            "data-dir": str(self.folder / "data"),
        }
        given = [f"--{name}={value}" for name, value in flags.items()]
        return [sys.executable, "-m", "labkit.apiserver", *given, *more]

    def start(self, *more: str) -> None:
        """Return when the server serves. It keeps its port over restarts."""
        self.process = subprocess.Popen(self.argv(*more), stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        for line in self.process.stderr:
            self.log.append(line)
            if found := _SERVING.search(line):
                self.port = int(found[1])
                # Nobody may be held up by a pipe that nobody reads.
                args = (self.process.stderr,)
                self._reader = threading.Thread(target=self.log.extend, args=args, daemon=True)
                self._reader.start()
                return
        raise AssertionError(f"the server ended with status {self.process.wait()}")

    def stop(self, *, kill: bool = False) -> int:
        """End the process; its exit status."""
        assert self.process
        assert self.process.stderr
        self.process.kill() if kill else self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        finally:
            self._reader.join(10)
            self.process.stderr.close()
            self.process = None

    def connect(self, certificate: str = "") -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if certificate:
            context.load_cert_chain(
                self.folder / f"{certificate}.crt", self.folder / f"{certificate}.key"
            )
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "admin",
        certificate: str = "",
    ) -> tuple[int, Any]:
        """One request on a connection of its own; its status and decoded answer."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(self.connect(certificate)) as connection:
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")


def prepare(folder: Path) -> Server:
    """A server's certificates and tokens. Nothing runs yet."""
    ca = sign("labkit test CA")
    ca.write(folder, "ca")
    sign("server", ca).write(folder, "server")
    sign("ann", ca, "system:masters").write(folder, "ann")
    (folder / "tokens.json").write_text(json.dumps(TOKENS))
    return Server(folder)


@contextlib.contextmanager
def running(folder: Path, *more: str) -> Iterator[Server]:
    server = prepare(folder)
    server.start(*more)
    try:
        yield server
    finally:
        if server.process:
            server.stop()


# --- kubectl -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The real kubectl, with a home of its own."""

    server: Server
    token: str = "admin"

    def argv(self, *words: str) -> list[str]:
        program = shutil.which("kubectl")
        if program is None:
            pytest.skip("kubectl is not on the PATH")
        return [
            program,
            f"--server=https://127.0.0.1:{self.server.port}",
            f"--certificate-authority={self.server.folder / 'ca.crt'}",
            f"--token={self.token}",
            *words,
        ]

    def environment(self, **more: str) -> dict[str, str]:
        """No kubeconfig and no cache of the person who runs the tests."""
        home = str(self.server.folder / "home")
        return {**os.environ, "HOME": home, "KUBECONFIG": "/dev/null", **more}

    def run(
        self, *words: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=self.environment(**environment),
        )

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> str:
        """What it printed; it must end well."""
        done = self.run(*words, stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str, stdin: str = "") -> str:
        """What it complained; it must end badly."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()

    def rows(self, *words: str) -> list[list[str]]:
        """A table's cells, its header first. Columns are two spaces apart, or more."""
        return [re.split(r"\s{2,}", line.strip()) for line in self("get", *words).splitlines()]


def manifest(*objects: Any) -> str:
    """Several objects as kubectl reads them."""
    return "\n".join(json.dumps(obj) for obj in objects)


def names(words: Sequence[Sequence[str]]) -> list[str]:
    """The first column without its header."""
    return [row[0] for row in words[1:]]
