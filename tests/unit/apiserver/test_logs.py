"""What `kubectl logs` asks for, before a kubelet is asked; and what comes back from one."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import pytest

from labkit import errors
from labkit.apiserver import authn, authz, kubelets, logs, registry, request_info
from tests.unit.apiserver import cluster

PATH = "/api/v1/namespaces/default/pods/a/log"


class TestOptions:
    def test_what_is_passed_on(self) -> None:
        asked = {"follow": "true", "previous": "false", "tailLines": "5", "container": "x"}
        assert logs.parse_options("a", asked) == {"follow": "true", "tailLines": "5"}
        moment = {"sinceTime": "2026-01-01T00:00:00Z"}
        assert logs.parse_options("a", moment) == moment

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal"),
            ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
            ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
            ({"sinceSeconds": "5", "sinceTime": "x"}, "at most one of `sinceTime`"),
            ({"tailLines": "x"}, 'parsing "x": invalid syntax'),
        ],
    )
    def test_what_is_refused(self, asked: dict[str, str], words: str) -> None:
        with pytest.raises(errors.ApiError, match=words) as caught:
            logs.parse_options("a", asked)
        assert caught.value.status in (400, 422)


TWO: dict[str, Any] = {
    "metadata": {"name": "a"},
    "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "x"}, {"name": "y"}]},
}


class TestContainer:
    def test_the_only_one_need_not_be_named(self) -> None:
        one = {**TWO, "spec": {"containers": [{"name": "x"}]}}
        assert kubelets.choose_container(one, "") == "x"
        for name in ("x", "y", "i"):
            assert kubelets.choose_container(TWO, name) == name

    def test_which_one(self) -> None:
        with pytest.raises(errors.ApiError, match=r"choose one of: \[x y\]"):
            kubelets.choose_container(TWO, "")
        with pytest.raises(errors.ApiError, match="container z is not valid for pod a"):
            kubelets.choose_container(TWO, "z")


class TestRequest:
    def test_a_pod_that_is_not_there(self, api: cluster.Client) -> None:
        reply = api("GET", PATH)
        assert (reply.code, reply.message) == (404, 'pods "a" not found')

    def test_a_pod_without_a_node_has_said_nothing(self, api: cluster.Client) -> None:
        api("POST", "/api/v1/namespaces/default/pods", cluster.pod())
        reply = api("GET", PATH)
        assert (reply.code, reply.body) == (200, b"")

    def test_a_server_without_a_certificate_says_so(self, api: cluster.Client) -> None:
        api("POST", "/api/v1/nodes", NODE)
        api("POST", "/api/v1/namespaces/default/pods", cluster.pod(nodeName="node1"))
        reply = api("GET", PATH)
        assert reply.code == 500
        assert "--kubelet-client-certificate is not set" in reply.message

    def test_other_verbs_are_refused(self, api: cluster.Client) -> None:
        assert api("DELETE", PATH).code == 405
        assert api("GET", PATH + "?watch=true").code == 405

    def test_a_log_is_for_masters(self, objects: registry.Registry) -> None:
        info = request_info.parse_request("GET", PATH, {})
        for groups, allowed in (
            ("system:masters", True),
            ("system:nodes", False),
            ("system:node-proxiers", False),
        ):
            verdict = authz.authorize(authn.User("u", (groups,)), info, lambda *_: None)
            assert verdict.allowed is allowed, groups


NODE = {
    "metadata": {"name": "node1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.56.11"}]},
}


class TestAnswer:
    OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def test_the_log_as_it_comes(self) -> None:
        assert read(self.OK + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") == b"abcde"
        assert read(self.OK + b"0\r\n\r\n") == b""

    def test_an_answer_that_is_cut_off_is_no_end(self) -> None:
        with pytest.raises(h11.RemoteProtocolError):
            read(self.OK + b"3\r\nabc\r\n")

    @pytest.mark.parametrize(
        ("code", "reason"), [(400, "BadRequest"), (404, "NotFound"), (503, "InternalError")]
    )
    def test_a_refusal_keeps_its_words(self, code: int, reason: str) -> None:
        with pytest.raises(errors.ApiError, match="not yet") as caught:
            read(b"HTTP/1.1 %d X\r\nContent-Length: 8\r\n\r\nnot yet\n" % code)
        assert caught.value.body["reason"] == reason


def read(answer: bytes) -> bytes:
    """What is made of a kubelet's answer."""
    return asyncio.run(_read(answer))


async def _read(answer: bytes) -> bytes:
    reader = asyncio.StreamReader()
    reader.feed_data(answer)
    reader.feed_eof()
    talk = kubelets.Talk(reader)
    assert talk.ask("192.168.56.11:10250", "/containerLogs/default/a/x").startswith(b"GET /cont")
    await talk.agree()
    pieces = []
    while piece := await talk.next_piece():
        pieces.append(piece)
    return b"".join(pieces)
