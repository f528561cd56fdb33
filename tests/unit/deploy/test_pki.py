"""Certificates and tokens: made once, kept, and what a changed lab makes wrong made again."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from labkit import errors
from labkit.client import config
from labkit.deploy import certificates, pki
from labkit.model import spec

LAB = spec.plan()


def test_made_once_and_kept(tmp_path: Path) -> None:
    first = pki.ensure_pki(tmp_path / "pki", LAB)
    assert pki.ensure_pki(tmp_path / "pki", LAB) == first
    assert pki.load_pki(tmp_path / "pki") == first
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "pki").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700


def test_users_and_groups(tmp_path: Path) -> None:
    tokens = json.loads(pki.ensure_pki(tmp_path, LAB).tokens_json)
    assert {who["user"]: who["groups"] for who in tokens.values()} == {
        "kubernetes-admin": ["system:masters"],
        "system:kube-proxy:control": ["system:node-proxiers"],
        "system:kube-proxy:node1": ["system:node-proxiers"],
        "system:kube-proxy:node2": ["system:node-proxiers"],
        "system:node:control": ["system:nodes"],
        "system:node:node1": ["system:nodes"],
        "system:node:node2": ["system:nodes"],
    }
    assert all(len(token) >= 40 for token in tokens)


def test_a_new_node_gets_tokens_and_the_others_keep_theirs(tmp_path: Path) -> None:
    before = pki.ensure_pki(tmp_path, LAB)
    after = pki.ensure_pki(tmp_path, spec.plan(workers=3))
    assert set(before.tokens) < set(after.tokens)
    assert len(after.tokens) == len(before.tokens) + 2
    assert after.server_cert_pem == before.server_cert_pem
    assert pki.ensure_pki(tmp_path, spec.plan(workers=1)).tokens.keys() < before.tokens.keys()


def test_another_address_gets_another_certificate_of_the_same_authority(tmp_path: Path) -> None:
    before = pki.ensure_pki(tmp_path, LAB)
    other = spec.plan(machine_network=spec.parse_network("192.168.99.0/24"))
    after = pki.ensure_pki(tmp_path, other)
    assert after.ca_pem == before.ca_pem
    assert after.server_cert_pem != before.server_cert_pem
    assert after.server == "https://192.168.99.10:6443"


def test_a_lost_authority_makes_everything_new(tmp_path: Path) -> None:
    before = pki.ensure_pki(tmp_path, LAB)
    (tmp_path / "ca.key").unlink()
    after = pki.ensure_pki(tmp_path, LAB)
    assert after.ca_pem != before.ca_pem
    assert after.server_cert_pem != before.server_cert_pem
    assert after.tokens == before.tokens


def test_kubeconfigs(tmp_path: Path) -> None:
    made = pki.ensure_pki(tmp_path, LAB)
    admin = config.parse_kubeconfig(made.admin_kubeconfig)
    assert admin.server == "https://192.168.56.10:6443"
    assert admin.ca_pem == made.ca_pem
    assert made.tokens[admin.token]["user"] == "kubernetes-admin"
    with pytest.raises(errors.NothingMatched, match="no user 'nobody'"):
        made.kubeconfig("nobody")


def test_a_lab_of_an_earlier_release_gets_what_it_lacks(tmp_path: Path) -> None:
    before = pki.ensure_pki(tmp_path, LAB)
    for path in tmp_path.glob("*kubelet*"):
        path.unlink()
    assert pki.load_pki(tmp_path).pairs == {}
    after = pki.ensure_pki(tmp_path, LAB)
    assert after.server_cert_pem == before.server_cert_pem
    nodes = [f"kubelet-{node.name}" for node in LAB.cluster]
    assert list(after.pairs) == ["apiserver-kubelet-client", *nodes]


def test_only_a_node_that_moved_gets_another_certificate(tmp_path: Path) -> None:
    before = pki.ensure_pki(tmp_path, LAB).pairs
    nodes = [
        replace(node, address=node.address + 50) if node.name == "node2" else node
        for node in LAB.nodes
    ]
    after = pki.ensure_pki(tmp_path, replace(LAB, nodes=tuple(nodes))).pairs
    assert [name for name in before if before[name] != after[name]] == ["kubelet-node2"]


def test_what_serves_cannot_ask(tmp_path: Path) -> None:
    """A node that was broken into must not pass for the API server."""
    made = pki.ensure_pki(tmp_path, LAB)
    for name, (certificate, _) in made.pairs.items():
        usage = x509.load_pem_x509_certificate(certificate.encode()).extensions
        names = [each._name for each in usage.get_extension_for_class(x509.ExtendedKeyUsage).value]
        assert names == ["clientAuth" if name == pki.KUBELET_CLIENT else "serverAuth"]


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    assert repr(pki.ensure_pki(tmp_path, LAB)) == "Pki(server='https://192.168.56.10:6443')"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.NothingMatched, match=r"certificate\.json is missing") as caught:
        pki.load_pki(tmp_path)
    assert "labkit up" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["192.168.56.10", "10.96.0.1", "127.0.0.1", "localhost", "control", "kubernetes"]
)
def test_a_client_that_trusts_the_authority_trusts_the_server(tmp_path: Path, name: str) -> None:
    made = pki.ensure_pki(tmp_path, LAB)
    assert shake_hands(made, made.ca_pem, name) is None


def test_other_names_and_other_authorities_are_refused(tmp_path: Path) -> None:
    made = pki.ensure_pki(tmp_path, LAB)
    assert isinstance(shake_hands(made, made.ca_pem, "192.168.56.11"), ssl.SSLError)
    stranger = certificates.make_authority("labkit lab")[0]
    assert isinstance(shake_hands(made, stranger, "localhost"), ssl.SSLError)


def shake_hands(made: pki.Pki, ca_pem: str, name: str) -> Exception | None:
    """A TLS handshake over a socket pair, as strict as OpenSSL can be."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as pair:
        pair.write(made.server_cert_pem + made.server_key_pem)
        pair.flush()
        serving.load_cert_chain(pair.name)
    asking = ssl.create_default_context(cadata=ca_pem)
    asking.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = threading.Thread(target=_serve, args=(serving, theirs))
        server.start()
        try:
            asking.wrap_socket(ours, server_hostname=name).close()
        except ssl.SSLError as error:
            return error
        finally:
            ours.close()
            server.join()
    return None


def _serve(context: ssl.SSLContext, sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        context.wrap_socket(sock, server_side=True).close()
