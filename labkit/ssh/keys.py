"""Key pairs in OpenSSH's own format: what sshd reads, and what a person can compare.

A fingerprint is the SHA-256 of the key's bytes, as `ssh-keygen -l` prints it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from labkit import paths


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`public` is a line for authorized_keys; `private_openssh` is a private key file's text."""

    private_openssh: str = field(repr=False)
    public: str


def generate_ed25519() -> KeyPair:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private.decode(), public.decode())


def write_key(path: Path, text: str) -> None:
    """Put `text` at `path`, readable by its owner only, whole or not at all."""
    paths.ensure_file(path, text, 0o600)


def same(one: str, other: str) -> bool:
    """True when two public key lines hold the same key; their comments do not count."""
    return one.split()[:2] == other.split()[:2]


def fingerprint(public: str) -> str:
    """`SHA256:...` of a public key line, as `ssh-keygen -l` has it."""
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
