"""Who may say what: the lab's certificate authority, the certificates that it signed, and tokens.

    ca.crt, ca.key             signs all certificates; clients and kubelets trust what it signed
    server.crt, .key           proves that the API server is the lab's
    kubelet-NODE.crt, .key     proves to the API server that a node is the one that it asked
    apiserver-kubelet-client   proves to a node that it is the API server who asks
    tokens.json                token -> user and groups: proves to the API server who asks

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
from labkit.model import kubelet, spec
from labkit.ssh import keys

ADMIN = "kubernetes-admin"

SERVER = "server"
#: The pair with which the API server asks a node's kubelet.
KUBELET_CLIENT = "apiserver-kubelet-client"

_CA_FILES = ("ca.crt", "ca.key")
_PUBLISHED = ("ca.crt", "server.crt", "server.key")

#: Certificate and private key, both as PEM text.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pki:
    """All of it, as text. `tokens` is what tokens.json holds."""

    server: str
    ca_pem: str = field(repr=False)
    server_cert_pem: str = field(repr=False)
    server_key_pem: str = field(repr=False)
    #: The other certificates with their keys, by the name of their files.
    pairs: Mapping[str, Pair] = field(repr=False)
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
    if not _all_there(folder, _CA_FILES):
        _make_authority(folder, lab.name)
    for name, wanted in plan_certificates(lab).items():
        if not _is_there(folder, name, wanted):
            _make_certificate(folder, name, wanted)
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
    return Pki(certificate["server"], ca, crt, key, _read_pairs(folder), _read_tokens(folder))


def kubelet_pair(node: str) -> str:
    """The name of the pair with which a node's kubelet answers."""
    return f"kubelet-{node}"


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


def plan_certificates(lab: spec.LabSpec) -> dict[str, dict[str, Any]]:
    """What each certificate says, by the name of its files."""
    return {
        SERVER: plan_certificate(lab),
        KUBELET_CLIENT: {"subject": kubelet.CLIENT},
        **{
            kubelet_pair(node.name): {
                "subject": f"system:node:{node.name}",
                "names": [node.name],
                "addresses": [str(node.address)],
            }
            for node in lab.cluster
        },
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
    for mark in _marks(folder):
        mark.unlink()  # what the last one signed is void


def _make_certificate(folder: Path, name: str, wanted: Mapping[str, Any]) -> None:
    from labkit.deploy import certificates

    authority = ((folder / "ca.crt").read_text(), (folder / "ca.key").read_text())
    subject = wanted.get("subject", "kube-apiserver")
    if "names" in wanted:
        pair = certificates.make_server(authority, subject, wanted["names"], wanted["addresses"])
    else:
        pair = certificates.make_client(authority, subject)
    _write_pair(folder, name, pair)
    keys.write_key(_mark(folder, name), _json(wanted))  # last: it marks the pair complete


def _mark(folder: Path, name: str) -> Path:
    """The file that tells what a certificate was made for."""
    return folder / ("certificate.json" if name == SERVER else f"{name}.json")


def _marks(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if path.name != "tokens.json"]


def _write_pair(folder: Path, name: str, pair: tuple[str, str]) -> None:
    for suffix, text in zip(("crt", "key"), pair, strict=True):
        keys.write_key(folder / f"{name}.{suffix}", text)


def _is_there(folder: Path, name: str, wanted: Mapping[str, Any]) -> bool:
    mark = _mark(folder, name)
    files = (f"{name}.crt", f"{name}.key", mark.name)
    return _all_there(folder, files) and bool(json.loads(mark.read_text()) == wanted)


def _all_there(folder: Path, names: Sequence[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _read_pairs(folder: Path) -> dict[str, Pair]:
    """What has been made so far: a lab of an earlier release gets the rest at its next `up`."""
    names = [mark.stem for mark in _marks(folder) if mark != _mark(folder, SERVER)]
    return {
        name: ((folder / f"{name}.crt").read_text(), (folder / f"{name}.key").read_text())
        for name in sorted(names)
    }


def _read_tokens(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "tokens.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
