"""The API's verbs against a real HTTPS server: paths, bodies, refusals, connections that end."""

from __future__ import annotations

import dataclasses
import gc
import select
import socket
import struct

import pytest

from labkit import errors
from labkit.client import config, http
from labkit.model import resources
from tests.unit.client import scripted
from tests.unit.client.scripted import Reply

APP1 = {"metadata": {"name": "app1", "namespace": "shop"}}


def test_each_verb_asks_what_the_api_expects(server: scripted.Server) -> None:
    server.answer(*[Reply({"kind": "Anything"})] * 8)
    with http.Client(server.config) as client:
        client.get(resources.SERVICES, "app1")
        client.list(resources.PODS, label_selector="a=b", field_selector="spec.nodeName=node1")
        client.create(resources.SERVICES, APP1)
        client.replace(resources.SERVICES, APP1)
        client.replace_status(resources.NODES, {"metadata": {"name": "node1"}})
        client.patch(resources.PODS, "p", "shop", {"spec": None}, subresource="status")
        client.delete(resources.PODS, "p", "shop", grace_s=0, uid="u1")
        client.delete(resources.NODES, "node1")
    asked = [server.next_request() for _ in range(8)]
    assert [(seen.method, seen.path) for seen in asked] == [
        ("GET", "/api/v1/namespaces/default/services/app1"),
        ("GET", "/api/v1/pods?labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dnode1"),
        ("POST", "/api/v1/namespaces/shop/services"),
        ("PUT", "/api/v1/namespaces/shop/services/app1"),
        ("PUT", "/api/v1/nodes/node1/status"),
        ("PATCH", "/api/v1/namespaces/shop/pods/p/status"),
        ("DELETE", "/api/v1/namespaces/shop/pods/p"),
        ("DELETE", "/api/v1/nodes/node1"),
    ]
    assert asked[2].json == APP1
    assert asked[5].headers["content-type"] == "application/merge-patch+json"
    assert asked[6].json["gracePeriodSeconds"] == 0
    assert asked[6].json["preconditions"] == {"uid": "u1"}
    assert {seen.headers["authorization"] for seen in asked} == {"Bearer t0ken"}
    assert {seen.connection for seen in asked} == {0}, "one kept-alive connection carries them all"


def test_text_stays_text(server: scripted.Server) -> None:
    server.answer(Reply("ok"))
    with http.Client(server.config) as client:
        assert client.request("GET", "/healthz") == "ok"


def test_an_answer_in_chunks_is_put_together(server: scripted.Server) -> None:
    server.answer(scripted.Stream((b'{"kind":', b'"List"}')))
    with http.Client(server.config) as client:
        assert client.list(resources.PODS) == {"kind": "List"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, errors.NotFound), (409, errors.Conflict), (422, errors.Invalid), (403, errors.ApiError)],
)
def test_a_refusal_is_the_servers_own_words(
    server: scripted.Server, status: int, kind: type[errors.ApiError]
) -> None:
    server.answer(Reply({"kind": "Status", "message": "no, because"}, status), Reply())
    with http.Client(server.config) as client:
        with pytest.raises(kind, match="no, because"):
            client.get(resources.PODS, "p")
        client.get(resources.PODS, "p")
    assert server.connections == 1, "a refusal does not cost the connection"


def test_a_refusal_in_plain_text_is_shown_too(server: scripted.Server) -> None:
    server.answer(Reply("bad gateway", 502))
    with http.Client(server.config) as client, pytest.raises(errors.ApiError, match="bad gateway"):
        client.get(resources.PODS, "p")


def test_a_connection_that_the_server_ended_is_replaced(server: scripted.Server) -> None:
    server.answer(Reply(close=True), Reply(), Reply(close=True), Reply())
    with http.Client(server.config) as client:
        for _ in range(4):
            client.get(resources.PODS, "p")
    assert server.connections == 3


def test_an_answer_cut_off_is_asked_for_again_once(server: scripted.Server) -> None:
    cut = scripted.Stream((b'{"kind"',), ending="cut")
    server.answer(Reply(), cut, Reply({"kind": "Pod"}))
    with http.Client(server.config) as client:
        client.get(resources.PODS, "p")
        assert client.get(resources.PODS, "p") == {"kind": "Pod"}


def test_what_writes_is_never_sent_twice(server: scripted.Server) -> None:
    server.answer(Reply(), scripted.Stream((b"{",), ending="cut"))
    with http.Client(server.config) as client:
        client.get(resources.PODS, "p")
        with pytest.raises(errors.ConnectionFailed, match="hung up"):
            client.create(resources.PODS, APP1)
    assert server.seen.qsize() == 2


def test_no_answer_in_time(server: scripted.Server) -> None:
    server.answer(scripted.Stream(ending="open"))
    with (
        http.Client(server.config, timeout_s=0.05) as client,
        pytest.raises(errors.ConnectionFailed, match="no answer in time"),
    ):
        client.get(resources.PODS, "p")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        http.Client(config.ClientConfig(f"https://127.0.0.1:{port}")) as client,
        pytest.raises(errors.ConnectionFailed, match=f"127.0.0.1:{port}.*refused") as caught,
    ):
        client.get(resources.PODS, "p")
    assert "healthz" in caught.value.hint


def test_a_server_of_another_ca_is_not_trusted(server: scripted.Server) -> None:
    stranger = dataclasses.replace(server.config, ca_pem="")
    with (
        http.Client(stranger) as client,
        pytest.raises(errors.ConnectionFailed, match="certificate does not convince"),
    ):
        client.get(resources.PODS, "p")


def test_a_client_certificate_is_presented(
    server: scripted.Server, authority: scripted.Authority
) -> None:
    ours = dataclasses.replace(
        server.config, cert_pem=authority.cert_pem, key_pem=authority.key_pem
    )
    server.answer(Reply({"kind": "Pod"}))
    with http.Client(ours) as client:
        assert client.get(resources.PODS, "p") == {"kind": "Pod"}


def test_the_dial_says_how_to_get_there(server: scripted.Server) -> None:
    asked: list[tuple[str, int]] = []

    def dial(host: str, port: int) -> socket.socket:
        asked.append((host, port))
        return socket.create_connection(("127.0.0.1", server.port))

    elsewhere = dataclasses.replace(
        server.config, server="https://192.168.56.10:6443", server_name="127.0.0.1"
    )
    server.answer(Reply())
    with http.Client(elsewhere, dial=dial) as client:
        client.get(resources.PODS, "p")
    assert asked == [("192.168.56.10", 6443)]
    assert server.next_request().headers["host"] == "192.168.56.10:6443"


@pytest.mark.parametrize("address", ["ftp://host", "192.168.56.10:6443", "https://h:port"])
def test_an_address_that_is_none(address: str) -> None:
    with (
        http.Client(config.ClientConfig(address)) as client,
        pytest.raises(errors.ConfigError, match="not an API server's address"),
    ):
        client.get(resources.PODS, "p")


def test_something_else_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def dial(_host: str, _port: int) -> socket.socket:
            ours = socket.create_connection(("127.0.0.1", port))
            theirs, _ = listener.accept()
            theirs.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            theirs.close()
            return ours

        with (
            http.Client(config.ClientConfig(f"http://127.0.0.1:{port}"), dial=dial) as client,
            pytest.raises(errors.ConnectionFailed),
        ):
            client.get(resources.PODS, "p")


def test_a_connection_that_was_reset_before_tls_began_is_closed() -> None:
    """A socket that is lost without being closed is a warning, and warnings are errors here."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def dial(host: str, port: int) -> socket.socket:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()  # with that: a reset
            poll = select.poll()
            poll.register(ours)
            assert poll.poll(5000)
            return ours

        with (
            http.Client(config.ClientConfig("https://127.0.0.1:1"), dial=dial) as client,
            pytest.raises(errors.ConnectionFailed),
        ):
            client.get(resources.PODS, "p")
    gc.collect()
