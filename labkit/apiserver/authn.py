"""Who is asking: a bearer token from the token file, or a client certificate of the lab's CA."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import errors

_EVERYBODY = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Tokens:
    """The users by the digests of their tokens.

    A digest is looked up, never a token: how long that takes tells nothing about a token.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {_digest(token): user for token, user in users.items()}

    def find(self, token: str) -> User | None:
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def parse_tokens(text: str) -> Tokens:
    """Read `{"TOKEN": {"user": "...", "groups": [...]}}`. Raises ConfigError."""
    try:
        listed: Mapping[str, Mapping[str, Any]] = json.loads(text)
        return Tokens(
            {
                token: User(str(entry["user"]), (*entry.get("groups", ()), _EVERYBODY))
                for token, entry in listed.items()
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # The text holds secrets, so that none of it may reach the message.
        raise errors.ConfigError(
            f"it is not a token file ({type(error).__name__})",
            hint='write {"TOKEN": {"user": "NAME", "groups": ["GROUP"]}}',
        ) from None


def read_tokens(path: Path | None) -> Tokens:
    """Raises ConfigError that names the file."""
    if path is None:
        return Tokens({})
    try:
        return parse_tokens(path.read_text())
    except (OSError, errors.ConfigError) as error:
        raise errors.ConfigError(f"--token-auth-file {path}: {error}") from error


def user_of_certificate(subject: tuple[tuple[tuple[str, str], ...], ...]) -> User | None:
    """The common name is the user, each organisation a group: as kube-apiserver reads them."""
    pairs = [pair for part in subject for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = [value for key, value in pairs if key == "organizationName"]
    return User(names[0], (*groups, _EVERYBODY)) if names else None


def authenticate(
    authorization: str | None, certificate: User | None, tokens: Tokens
) -> User | None:
    """None: these credentials are worth nothing. Without any, the caller is anonymous."""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        return tokens.find(token.strip()) if scheme.lower() == "bearer" else None
    return certificate or ANONYMOUS
