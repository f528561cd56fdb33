"""A kubeconfig says three things: where the API server is, whom to trust, and who we are.

    clusters   server address, and the CA that must have signed the server's certificate
    users      a token, or a client certificate with its key
    contexts   pairs of the two, by name; `current-context` chooses one

kubectl reads YAML. JSON is YAML too, and the standard library reads it: so labkit's own kubeconfigs
are JSON, and kubectl accepts them as they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit import errors

_CONTEXT = "labkit"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How one user reaches one API server. Certificates and the key are PEM text, not paths.

    No `ca_pem` means the machine's own certificate authorities. `server_name` is the name to look
    for in the server's certificate where it is not the one that is dialled.
    """

    server: str
    ca_pem: str = ""
    token: str = field(default="", repr=False)
    cert_pem: str = ""
    key_pem: str = field(default="", repr=False)
    server_name: str = ""


def read_kubeconfig(path: str) -> ClientConfig:
    """Read the kubeconfig at `path`; file names in it are relative to its folder."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs a node memory
            text = file.read()
    except OSError as error:
        raise errors.ConfigError(
            f"the kubeconfig {path} cannot be read: {error.strerror}"
        ) from error
    return parse_kubeconfig(text, folder=os.path.dirname(path))  # noqa: PTH120


def parse_kubeconfig(text: str, *, folder: str = "", context: str = "") -> ClientConfig:
    """Read a context of a kubeconfig in JSON; unnamed, the current one. Raises ConfigError."""
    return parse_document(_parse_json(text), folder=folder, context=context)


def parse_document(
    document: Mapping[str, Any], *, folder: str = "", context: str = ""
) -> ClientConfig:
    """The same of a kubeconfig that has been decoded. Raises ConfigError, with the cure."""
    chosen = _pick(document, "context", context or str(document.get("current-context") or ""))
    cluster = _pick(document, "cluster", str(chosen.get("cluster", "")))
    user = _pick(document, "user", str(chosen.get("user", "")))
    _refuse_what_we_cannot(cluster, user)
    return ClientConfig(
        server=str(cluster["server"]).rstrip("/"),
        ca_pem=_inline_or_file(cluster, "certificate-authority", folder),
        token=str(user.get("token") or "")
        or _read(str(user.get("tokenFile") or ""), folder).strip(),
        cert_pem=_inline_or_file(user, "client-certificate", folder),
        key_pem=_inline_or_file(user, "client-key", folder),
        server_name=str(cluster.get("tls-server-name") or ""),
    )


def render_kubeconfig(config: ClientConfig, *, user: str = "kubernetes-admin") -> str:
    """Write a kubeconfig that stands on its own, everything inline. `parse_kubeconfig` reads it."""
    cluster = {
        "server": config.server,
        "certificate-authority-data": _encode(config.ca_pem),
        "tls-server-name": config.server_name,
    }
    credentials = {
        "token": config.token,
        "client-certificate-data": _encode(config.cert_pem),
        "client-key-data": _encode(config.key_pem),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CONTEXT, "cluster": _without_empty(cluster)}],
        "users": [{"name": user, "user": _without_empty(credentials)}],
        "contexts": [{"name": _CONTEXT, "context": {"cluster": _CONTEXT, "user": user}}],
        "current-context": _CONTEXT,
    }
    return json.dumps(document, indent=2) + "\n"


def _parse_json(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise errors.ConfigError(
            "the kubeconfig is not JSON",
            hint="turn it into JSON: kubectl config view --raw --flatten -o json",
        ) from error
    if not isinstance(document, dict):
        raise errors.ConfigError("the kubeconfig is not an object")
    return document


def _pick(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    for entry in document.get(kind + "s") or ():
        if entry.get("name") == name:
            return entry.get(kind) or {}
    raise errors.ConfigError(
        f"the kubeconfig has no {kind} named {name!r}",
        hint="`kubectl config get-contexts` lists what it has",
    )


def _refuse_what_we_cannot(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    if not cluster.get("server"):
        raise errors.ConfigError("the kubeconfig's cluster has no server address")
    if cluster.get("insecure-skip-tls-verify"):
        raise errors.ConfigError(
            "the kubeconfig asks not to verify the API server's certificate",
            hint="give it certificate-authority-data instead",
        )
    if cluster.get("proxy-url"):
        raise errors.ConfigError(
            f"the kubeconfig reaches the API server through a proxy ({cluster['proxy-url']})",
            hint="give the address at which the nodes reach the server itself",
        )
    plugin = next((key for key in ("exec", "auth-provider") if user.get(key)), None)
    if plugin:
        raise errors.ConfigError(
            f"the kubeconfig's user logs in by a plug-in ({plugin}), which cannot run here",
            hint="use a token: kubectl create token NAME",
        )
    other = next((key for key in ("username", "as") if user.get(key)), None)
    if other:
        raise errors.ConfigError(
            f"the kubeconfig's user logs in by `{other}`, which labkit does not speak",
            hint="use a token or a client certificate",
        )


def _inline_or_file(entry: Mapping[str, Any], key: str, folder: str) -> str:
    """Kubernetes' own order: `<key>-data`, base64, wins over the file that `<key>` names."""
    inline = entry.get(f"{key}-data")
    if not inline:
        return _read(str(entry.get(key) or ""), folder)
    try:
        return base64.b64decode(inline, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise errors.ConfigError(
            f"{key}-data in the kubeconfig is not base64 of PEM text"
        ) from error


def _read(path: str, folder: str) -> str:
    if not path:
        return ""
    full = os.path.join(folder, path)  # noqa: PTH118
    try:
        with open(full, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except OSError as error:
        raise errors.ConfigError(
            f"{full}, which the kubeconfig names, cannot be read: {error.strerror}"
        ) from error


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _without_empty(entry: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in entry.items() if value}
