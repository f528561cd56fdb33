"""What `kubectl exec` asks for, until the two ends talk to each other alone."""

from __future__ import annotations

import asyncio

import pytest
from starlette.datastructures import QueryParams

from labkit.apiserver import authn, authz, kubelets, remotecommand, request_info, upgrade
from tests.unit.apiserver import cluster
from tests.unit.apiserver.test_logs import NODE

PODS = "/api/v1/namespaces/default/pods"
EXEC = f"{PODS}/a/exec?command=true&stdout=true"


def test_the_kubelet_is_asked_in_its_own_words() -> None:
    asked = QueryParams("command=sh&command=-c&command=a%26b&stdin=true&stdout=false&tty=true")
    assert remotecommand.plan_query(asked) == "command=sh&command=-c&command=a%26b&input=1&tty=1"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refusals(api: cluster.Client, method: str) -> None:
    reply = api(method, EXEC)
    assert (reply.code, reply.message) == (404, 'pods "a" not found')
    api("POST", PODS, cluster.pod())
    reply = api(method, EXEC)
    assert (reply.code, reply.message) == (400, "pod a does not have a host assigned")
    api("POST", "/api/v1/nodes", NODE)
    api("POST", PODS, cluster.pod("b", nodeName="node1"))
    reply = api(method, EXEC.replace("/a/", "/b/"))
    assert (reply.code, reply.message) == (400, "Upgrade request required")
    reply = api(method, EXEC.replace("/a/", "/b/") + "&container=x")
    assert (reply.code, reply.message) == (400, "container x is not valid for pod b")
    assert api("DELETE", EXEC).code == 405


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
def test_it_is_for_people(subresource: str) -> None:
    info = request_info.parse_request("GET", f"{PODS}/a/{subresource}", {})
    for group in (authz.NODES, authz.PROXIERS):
        assert not authz.authorize(authn.User("u", (group,)), info, lambda *_: None).allowed


async def _switch(answer: bytes) -> bytes:
    reader = asyncio.StreamReader()
    reader.feed_data(answer)
    reader.feed_eof()
    talk = kubelets.Talk(reader)
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    asked = talk.ask("192.168.56.11:10250", "/exec/default/a/x", "GET", headers)
    assert b"upgrade: websocket\r\n" in asked
    return await talk.switch()


def test_an_agreement_is_passed_on_with_what_follows_it() -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    assert asyncio.run(_switch(head + b"more")) == head + b"more"


def test_a_refusal_keeps_its_words() -> None:
    with pytest.raises(kubelets.Refused, match="no way") as caught:
        asyncio.run(_switch(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\nno way"))
    assert caught.value.code == 400


def test_bytes_go_both_ways_until_an_end() -> None:
    async def scenario() -> None:
        near, far = await _pipe(), await _pipe()
        tunnel = asyncio.ensure_future(upgrade.relay(near[1], far[1]))
        for sender, receiver in ((near[0], far[0]), (far[0], near[0])):
            sender[1].write(b"hello")
            assert await receiver[0].readexactly(5) == b"hello"
        far[0][1].close()
        await tunnel
        for _, writer in (near[0], near[1], far[1]):
            writer.close()

    asyncio.run(scenario())


async def _pipe() -> tuple[upgrade.Streams, upgrade.Streams]:
    """Two ends of one connection."""
    accepted: asyncio.Queue[upgrade.Streams] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: accepted.put_nowait((reader, writer)), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    ours = await asyncio.open_connection("127.0.0.1", port)
    theirs = await accepted.get()
    server.close()
    return ours, theirs
