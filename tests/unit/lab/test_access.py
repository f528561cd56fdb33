"""What nodes log in with: accounts where the server makes them, else what was given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labkit import errors
from labkit.client import config, http
from labkit.lab.external import access
from labkit.model.resources import Object

MARK = "lab-00c0ffee"
GIVEN = config.ClientConfig("https://10.0.0.1:6443", "CA", "", "cert", "key")
NOW = 1_767_225_600.0  # 2026-01-01


class Server(http.Client):
    """Has accounts and tokens, as far as `lasts` and `refuses` say."""

    def __init__(self, lasts: str = "2027-01-01T00:00:00Z", refuses: str = "") -> None:
        super().__init__(GIVEN)
        self.lasts, self.refuses = lasts, refuses
        self.objects: dict[str, Object] = {}
        self.tokens = 0

    def request(self, method: str, path: str, *, body: Object | None = None, **_: Any) -> Any:
        if self.refuses and self.refuses in f"{method} {path}":
            raise errors.api_error(403, {"message": "you may not"})
        if path.endswith("/token"):
            self.tokens += 1
            return {"status": {"token": f"t{self.tokens}", "expirationTimestamp": self.lasts}}
        if method == "POST":
            assert body
            full = f"{path}/{body['metadata']['name']}"
            if full in self.objects:
                raise errors.api_error(409, {})
            body["metadata"]["uid"] = full
            self.objects[full] = body
        if method == "GET" and "clusterroles/" not in path:
            found = [obj for full, obj in self.objects.items() if path.split("/")[-1] in full]
            return {"items": found}
        if method == "DELETE":
            del self.objects[path]
        return {}


def test_each_program_gets_an_account_with_its_own_role() -> None:
    server = Server()
    made = access.ensure(server, GIVEN, MARK, {}, NOW)
    assert made.shared == ""
    read = config.parse_kubeconfig(made.kubeconfigs["podlet"])
    assert (read.server, read.ca_pem, read.token) == (GIVEN.server, "CA", "t2")
    assert (read.cert_pem, read.key_pem) == ("", ""), "the administrator's key stays here"
    roles = [obj["roleRef"]["name"] for obj in server.objects.values() if "roleRef" in obj]
    assert roles == ["system:node-proxier", "system:node"]
    assert all(MARK in json.dumps(obj["metadata"]["labels"]) for obj in server.objects.values())


def test_a_token_is_kept_until_its_last_month() -> None:
    server = Server()
    made = access.ensure(server, GIVEN, MARK, {}, NOW)
    again = access.ensure(server, GIVEN, MARK, made.tokens, NOW + access.MONTH_S)
    assert again == made
    late = access.ensure(server, GIVEN, MARK, made.tokens, NOW + 11.5 * access.MONTH_S)
    assert late.shared, "near its end it is asked for anew, and this server has only such"
    assert server.tokens == 3


def test_a_token_of_an_account_that_was_deleted_is_worth_nothing() -> None:
    server = Server()
    made = access.ensure(server, GIVEN, MARK, {}, NOW)
    server.objects.clear()
    assert access.ensure(server, GIVEN, MARK, made.tokens, NOW).tokens != made.tokens


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Server(refuses="clusterroles/"), "you may not"),
        (Server(refuses="/token"), "you may not"),
        (Server(refuses="POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings"), "may not"),
        (Server(lasts="2026-01-02T00:00:00Z"), "its tokens last until 2026-01-02"),
    ],
)
def test_elsewhere_what_was_given_and_nothing_is_left(server: Server, why: str) -> None:
    made = access.ensure(server, GIVEN, MARK, {}, NOW)
    assert why in made.shared
    assert {config.parse_kubeconfig(text) for text in made.kubeconfigs.values()} == {GIVEN}
    assert server.objects == {}
