"""Who may say what: the lab's certificate authority, the API server's certificate, and tokens.

    ca.crt, ca.key          signs the server's certificate; clients trust what it signed
    server.crt, server.key  proves that the API server is the lab's
    tokens.json             token -> user and groups: proves to the API server who asks

Users and groups are Kubernetes' own: `system:masters` may do everything, `system:node-proxiers`
read what kube-proxy needs, `system:nodes` write what is their node's. Everything is made once and
then kept; what a change of the lab makes wrong is made again, and nothing else.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import errors
from labkit.client import config
from labkit.model import spec
from labkit.ssh import keys

ADMIN = "kubernetes-admin"

_CA_FILES = ("ca.crt", "ca.key")
_PUBLISHED = ("ca.crt", "server.crt", "server.key")
_SERVER_FILES = ("server.crt", "server.key", "certificate.json")


@dataclass(frozen=True, slots=True)
class Pki:
    """All of it, as text. `tokens` is what tokens.json holds."""

    server: str
    ca_pem: str = field(repr=False)
    server_cert_pem: str = field(repr=False)
    server_key_pem: str = field(repr=False)
    tokens: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def tokens_json(self) -> str:
        return _json(self.tokens)

    @property
    def admin_kubeconfig(self) -> str:
        return self.kubeconfig(ADMIN)

    def kubeconfig(self, user: str) -> str:
        """A kubeconfig that stands on its own. Raises NothingMatched for an unknown user."""
        for token, who in self.tokens.items():
            if who["user"] == user:
                access = config.ClientConfig(self.server, self.ca_pem, token)
                return config.render_kubeconfig(access, user=user)
        raise errors.NothingMatched(f"the lab has no user {user!r}")


def ensure_pki(folder: Path, lab: spec.LabSpec) -> Pki:
    """Make in `folder` what is missing, or wrong for `lab`."""
    wanted = plan_certificate(lab)
    if not _all_there(folder, _CA_FILES):
        _make_authority(folder, lab.name)
    if not _all_there(folder, _SERVER_FILES) or _is_other(folder, wanted):
        _make_server(folder, wanted)
    kept = _read_tokens(folder)
    tokens = plan_tokens(lab, kept, secrets.token_urlsafe)
    if tokens != kept:
        keys.write_key(folder / "tokens.json", _json(tokens))
    return load_pki(folder)


def load_pki(folder: Path) -> Pki:
    """Read what `ensure_pki` made. Raises NothingMatched where it has not."""
    try:
        certificate = json.loads((folder / "certificate.json").read_text())
        ca, crt, key = ((folder / name).read_text() for name in _PUBLISHED)
    except FileNotFoundError as error:
        raise errors.NothingMatched(
            f"{error.filename} is missing", hint="`labkit up` makes the lab's certificates"
        ) from error
    return Pki(certificate["server"], ca, crt, key, _read_tokens(folder))


def plan_users(lab: spec.LabSpec) -> dict[str, list[str]]:
    """Every user of the lab with its groups."""
    users = {ADMIN: ["system:masters"]}
    for node in lab.cluster:
        users[f"system:kube-proxy:{node.name}"] = ["system:node-proxiers"]
        users[f"system:node:{node.name}"] = ["system:nodes"]
    return users


def plan_tokens(
    lab: spec.LabSpec, kept: Mapping[str, Mapping[str, Any]], new_token: Callable[[], str]
) -> dict[str, dict[str, Any]]:
    """A token for each user: the one it has, or a new one. Users that are gone lose theirs."""
    known = {who["user"]: token for token, who in kept.items()}
    return {
        known.get(user) or new_token(): {"user": user, "groups": groups}
        for user, groups in plan_users(lab).items()
    }


def plan_certificate(lab: spec.LabSpec) -> dict[str, Any]:
    """Where the API server is, and all names and addresses by which clients know it."""
    service = ["kubernetes.default.svc.cluster.local", "kubernetes.default.svc"]
    addresses = [lab.control.address, lab.api_service_address, "127.0.0.1"]
    return {
        "server": f"https://{lab.control.address}:{spec.API_PORT}",
        "names": ["kubernetes", "kubernetes.default", *service, lab.control.name, "localhost"],
        "addresses": [str(address) for address in addresses],
    }


def _make_authority(folder: Path, lab: str) -> None:
    from labkit.deploy import certificates  # 35 ms, only when something is to be made

    _write_pair(folder, "ca", certificates.make_authority(f"labkit {lab}"))
    (folder / "certificate.json").unlink(missing_ok=True)  # what the last one signed is void


def _make_server(folder: Path, wanted: Mapping[str, Any]) -> None:
    from labkit.deploy import certificates

    authority = ((folder / "ca.crt").read_text(), (folder / "ca.key").read_text())
    names, addresses = wanted["names"], wanted["addresses"]
    _write_pair(folder, "server", certificates.make_server(authority, names, addresses))
    keys.write_key(folder / "certificate.json", _json(wanted))  # last: it marks the pair complete


def _write_pair(folder: Path, name: str, pair: tuple[str, str]) -> None:
    for suffix, text in zip(("crt", "key"), pair, strict=True):
        keys.write_key(folder / f"{name}.{suffix}", text)


def _is_other(folder: Path, wanted: Mapping[str, Any]) -> bool:
    return bool(json.loads((folder / "certificate.json").read_text()) != wanted)


def _all_there(folder: Path, names: Sequence[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _read_tokens(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "tokens.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
