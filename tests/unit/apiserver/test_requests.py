"""What a request is about, who asks, and whether they may."""

from __future__ import annotations

import pytest

from labkit import errors
from labkit.apiserver import authn, authz, media, request_info
from labkit.model import resources

ADMIN = authn.User("kubernetes-admin", ("system:masters",))
PROXY = authn.User("system:kube-proxy:node1", ("system:node-proxiers",))
NODE = authn.User("system:node:node1", ("system:nodes",))
STRANGER = authn.User("somebody", ("system:authenticated",))


def parse(method: str, path: str, **query: str) -> request_info.RequestInfo:
    return request_info.parse_request(method, path, query)


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "v1", "a", "namespaces", "a", "")),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            ("update", "", "v1", "a", "namespaces", "a", "finalize"),
        ),
        ("POST", "/api/v1/namespaces/a/pods", ("create", "", "v1", "a", "pods", "", "")),
        (
            "POST",
            "/api/v1/namespaces/a/pods/b/binding",
            ("create", "", "v1", "a", "pods", "b", "binding"),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b",
            ("patch", "apps", "v1", "a", "deployments", "b", ""),
        ),
        ("DELETE", "/api/v1/nodes/n", ("delete", "", "v1", "", "nodes", "n", "")),
        (
            "DELETE",
            "/api/v1/namespaces/a/pods",
            ("deletecollection", "", "v1", "a", "pods", "", ""),
        ),
        ("GET", "/api/v1/namespaces/a/pods/", ("list", "", "v1", "a", "pods", "", "")),
    ],
)
def test_paths(method: str, path: str, wanted: tuple[str, ...]) -> None:
    info = parse(method, path)
    found = (info.verb, info.group, info.version, info.namespace, info.plural, info.name)
    assert (*found, info.subresource) == wanted


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api", "/api/v1", "/apis/apps/v1", "/openapi/v3"]
)
def test_paths_that_are_about_no_resource(path: str) -> None:
    assert parse("GET", path).plural == ""


@pytest.mark.parametrize(
    ("value", "verb"),
    [("true", "watch"), ("1", "watch"), ("", "watch"), ("false", "list"), ("0", "list")],
)
def test_watch_is_a_parameter(value: str, verb: str) -> None:
    assert parse("GET", "/api/v1/pods", watch=value).verb == verb


class TestAuthn:
    def tokens(self) -> authn.Tokens:
        return authn.parse_tokens('{"secret": {"user": "ann", "groups": ["g"]}}')

    def test_a_token_is_a_user(self) -> None:
        user = authn.authenticate("Bearer secret", None, self.tokens())
        assert user == authn.User("ann", ("g", "system:authenticated"))

    @pytest.mark.parametrize("header", ["Bearer wrong", "Basic secret", "secret", "Bearer "])
    def test_bad_credentials_are_worth_nothing(self, header: str) -> None:
        assert authn.authenticate(header, None, self.tokens()) is None

    def test_none_at_all_is_anonymous_unless_there_is_a_certificate(self) -> None:
        assert authn.authenticate(None, None, self.tokens()) == authn.ANONYMOUS
        assert authn.authenticate(None, STRANGER, self.tokens()) == STRANGER

    def test_a_certificates_names(self) -> None:
        subject = ((("organizationName", "system:masters"),), (("commonName", "root"),))
        user = authn.user_of_certificate(subject)
        assert user == authn.User("root", ("system:masters", "system:authenticated"))
        assert authn.user_of_certificate(()) is None

    @pytest.mark.parametrize("text", ["[]", "{", '{"secret": {}}', '{"secret": 1}'])
    def test_a_bad_file_is_told_without_its_secrets(self, text: str) -> None:
        with pytest.raises(errors.ConfigError) as caught:
            authn.parse_tokens(text)
        assert "secret" not in str(caught.value)


#: Pods by name, on this node, on another, and on none.
PODS: dict[str, resources.Object] = {
    "mine": {"spec": {"nodeName": "node1"}},
    "other": {"spec": {"nodeName": "node2"}},
    "free": {"spec": {}},
}
TABLES = {"Table": ("v1",)}


class TestAuthz:
    def verdict(self, user: authn.User, method: str, path: str) -> authz.Verdict:
        def find_pod(_: str, name: str) -> resources.Object | None:
            return PODS.get(name)

        return authz.authorize(user, parse(method, path), find_pod)

    @pytest.mark.parametrize(
        ("user", "method", "path", "allowed"),
        [
            (ADMIN, "DELETE", "/api/v1/nodes/x", True),
            (ADMIN, "GET", "/anything", True),
            (PROXY, "GET", "/api/v1/services", True),
            (PROXY, "POST", "/api/v1/namespaces/default/services", False),
            (PROXY, "POST", "/api/v1/namespaces/default/events", True),
            (PROXY, "DELETE", "/api/v1/namespaces/default/events/e", False),
            (NODE, "GET", "/api/v1/pods", True),
            (NODE, "POST", "/api/v1/nodes", True),
            (NODE, "PUT", "/api/v1/nodes/node1", True),
            (NODE, "PATCH", "/api/v1/nodes/node1/status", True),
            (NODE, "PUT", "/api/v1/nodes/node2/status", False),
            (NODE, "DELETE", "/api/v1/nodes/node1", False),
            (NODE, "PUT", "/api/v1/namespaces/d/pods/mine/status", True),
            (NODE, "PUT", "/api/v1/namespaces/d/pods/other/status", False),
            (NODE, "PUT", "/api/v1/namespaces/d/pods/mine", False),
            (NODE, "DELETE", "/api/v1/namespaces/d/pods/mine", True),
            (NODE, "DELETE", "/api/v1/namespaces/d/pods/other", False),
            (NODE, "DELETE", "/api/v1/namespaces/d/pods/free", False),
            (NODE, "DELETE", "/api/v1/namespaces/d/pods", False),
            (NODE, "POST", "/api/v1/namespaces/d/events", True),
            (NODE, "DELETE", "/api/v1/namespaces/d/events/e", False),
            (NODE, "POST", "/api/v1/namespaces/d/pods/mine/binding", False),
            (NODE, "PUT", "/api/v1/namespaces/d/services/s", False),
            (STRANGER, "GET", "/api/v1/pods", False),
            (STRANGER, "GET", "/api/v1", True),
            (STRANGER, "GET", "/openapi/v3/api/v1", True),
            (STRANGER, "GET", "/metrics", False),
            (authn.ANONYMOUS, "GET", "/readyz", True),
            (authn.ANONYMOUS, "GET", "/version", True),
            (authn.ANONYMOUS, "GET", "/versionx", False),
            (authn.ANONYMOUS, "GET", "/api", False),
        ],
    )
    def test_the_table_of_rights(
        self, user: authn.User, method: str, path: str, allowed: bool
    ) -> None:
        assert self.verdict(user, method, path).allowed is allowed

    def test_a_node_is_told_why(self) -> None:
        why = self.verdict(NODE, "PUT", "/api/v1/namespaces/d/pods/other/status").why
        assert why == (
            'node "node1" can only update pod status for pods with spec.nodeName set to itself'
        )

    def test_kubernetes_own_sentence(self) -> None:
        info = parse("POST", "/api/v1/namespaces/default/services")
        assert authz.explain_denial(PROXY, info) == (
            'User "system:kube-proxy:node1" cannot create resource "services" '
            'in API group "" in the namespace "default"'
        )
        everywhere = authz.explain_denial(PROXY, parse("POST", "/api/v1/nodes"))
        assert everywhere.endswith("at the cluster scope")
        assert authz.explain_denial(PROXY, parse("GET", "/metrics")) == (
            'User "system:kube-proxy:node1" cannot get path "/metrics"'
        )


class TestMedia:
    @pytest.mark.parametrize(
        ("header", "shape"),
        [
            ("", ""),
            ("*/*", ""),
            ("application/json", ""),
            ("application/vnd.kubernetes.protobuf,application/json", ""),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", ""),
            ("application/json;as=Other;v=v1,application/json;as=Table;v=v1", "Table"),
        ],
    )
    def test_the_first_form_that_is_possible(self, header: str, shape: str) -> None:
        assert media.parse_accept(header, TABLES).shape == shape

    @pytest.mark.parametrize(
        "header",
        ["application/vnd.kubernetes.protobuf", "text/html", "application/json;as=Table;v=v9"],
    )
    def test_nothing_possible_is_406(self, header: str) -> None:
        with pytest.raises(errors.ApiError) as caught:
            media.parse_accept(header, TABLES)
        assert caught.value.status == 406

    def test_bodies_that_cannot_be_read_are_415(self) -> None:
        for call in (media.check_json, media.parse_patch_type):
            with pytest.raises(errors.ApiError) as caught:
                call("application/yaml")
            assert caught.value.status == 415
        media.check_json("application/json; charset=utf-8")
        assert media.parse_patch_type("application/merge-patch+json") == media.MERGE_PATCH
