"""The real kubectl says what it wants: apply in both ways, diff, edit, patch, replace."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import apiserver
from tests.contracts.test_kubectl import APP1, pod

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(tmp_path_factory.mktemp("apply")) as made:
        yield made


@pytest.fixture
def kubectl(server: apiserver.Server) -> Iterator[apiserver.Kubectl]:
    """kubectl as the administrator, in a default namespace that is empty again afterwards."""
    yield apiserver.Kubectl(server)
    for group, plural in (
        ("apis/apps/v1", "deployments"),
        ("api/v1", "services"),
        ("api/v1", "configmaps"),
        ("api/v1", "pods"),
    ):
        path = f"/{group}/namespaces/default/{plural}"
        for item in server.request("GET", path)[1]["items"]:
            name = item["metadata"]["name"]
            if name not in ("kubernetes", "kube-root-ca.crt"):
                server.request("DELETE", f"{path}/{name}?gracePeriodSeconds=0")


def two_ports(**changes: Any) -> dict[str, Any]:
    """A Service with two ports, which a patch can tell apart."""
    service = copy.deepcopy(APP1)
    service["spec"] = {
        "selector": {"name": "app1"},
        "ports": [
            {"name": "web", "port": 80, "targetPort": 8080},
            {"name": "admin", "port": 9000, "targetPort": 9000},
        ],
        **changes,
    }
    return service


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def deployment(image: str = "labkit/echo", replicas: int | None = 0) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "echo", "image": image}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": spec,
    }


def apply(kubectl: apiserver.Kubectl, *words: str | dict[str, Any]) -> str:
    flags = [word for word in words if isinstance(word, str)]
    objects = [word for word in words if isinstance(word, dict)]
    return kubectl("apply", "-f", "-", *flags, stdin=apiserver.manifest(*objects))


def get(kubectl: apiserver.Kubectl, *what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", *what, "-o", "json", "--show-managed-fields"))
    return found


def managers(obj: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


def an_editor(path: Path, old: str, new: str) -> str:
    """What kubectl edit runs: changes a text in the file it is given."""
    script = path / "editor.sh"
    script.write_text(f"#!/bin/sh\nsed -i 's#{old}#{new}#' \"$1\"\n")
    script.chmod(0o755)
    return str(script)


class TestServerSide:
    def test_it_creates_then_changes_nothing_then_changes(self, kubectl: apiserver.Kubectl) -> None:
        assert apply(kubectl, "--server-side", two_ports()) == "service/app1 serverside-applied\n"
        before = get(kubectl, "svc", "app1")
        apply(kubectl, "--server-side", two_ports())
        assert get(kubectl, "svc", "app1") == before
        apply(kubectl, "--server-side", two_ports(sessionAffinity="ClientIP"))
        after = get(kubectl, "svc", "app1")
        assert after["spec"]["sessionAffinity"] == "ClientIP"
        assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
        assert LAST_APPLIED not in after["metadata"].get("annotations", {})

    def test_who_owns_what(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", "--field-manager=ann", two_ports())
        owned = managers(get(kubectl, "svc", "app1"))
        assert set(owned) == {("ann", "Apply", "")}
        spec = owned["ann", "Apply", ""]["f:spec"]
        item = spec["f:ports"]['k:{"port":80,"protocol":"TCP"}']
        assert item == {".": {}, "f:name": {}, "f:port": {}, "f:targetPort": {}}
        assert spec["f:selector"] == {}

    def test_what_is_no_longer_applied_goes(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", two_ports(sessionAffinity="ClientIP"))
        less = two_ports()
        del less["spec"]["ports"][1]
        del less["metadata"]["labels"]
        apply(kubectl, "--server-side", less)
        found = get(kubectl, "svc", "app1")
        assert [port["name"] for port in found["spec"]["ports"]] == ["web"]
        assert found["spec"]["sessionAffinity"] == "None"
        assert "labels" not in found["metadata"]

    def test_a_conflict_and_the_ways_out(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", deployment(replicas=1))
        kubectl("scale", "deployment/web", "--replicas=2")
        text = apiserver.manifest(deployment(replicas=1))
        told = kubectl.refused("apply", "--server-side", "-f", "-", stdin=text)
        assert told.startswith(
            'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" '
            "using apps/v1: .spec.replicas\nPlease review the fields above"
        )
        # To give the field up is one way out, to take it by force the other.
        apply(kubectl, "--server-side", deployment(replicas=None))
        assert get(kubectl, "deployment", "web")["spec"]["replicas"] == 2
        apply(kubectl, "--server-side", "--force-conflicts", deployment(replicas=1))
        found = get(kubectl, "deployment", "web")
        assert found["spec"]["replicas"] == 1
        assert ("kubectl", "Update", "scale") not in managers(found)

    def test_several_conflicts(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", config(a="1", b="1"))
        other = apiserver.manifest(config(a="2", b="2"))
        words = ("apply", "--server-side", "--field-manager=bob", "-f", "-")
        told = kubectl.refused(*words, stdin=other)
        assert (
            'Apply failed with 2 conflicts: conflicts with "kubectl":\n- .data.a\n- .data.b' in told
        )
        # The same values are no conflict: then both own them.
        kubectl(*words, stdin=apiserver.manifest(config(a="1")))
        apply(kubectl, "--server-side", config(b="1"))
        assert get(kubectl, "configmap", "c")["data"] == {"a": "1", "b": "1"}

    def test_what_it_refuses(self, kubectl: apiserver.Kubectl) -> None:
        words = ("apply", "--server-side", "-f", "-")
        wrong = two_ports(foo=1)
        told = kubectl.refused(*words, stdin=apiserver.manifest(wrong))
        assert "failed to create typed patch object (default/app1; /v1, Kind=Service)" in told
        assert ".spec.foo: field not declared in schema" in told
        keyless = two_ports(ports=[{"name": "web"}])
        told = kubectl.refused(*words, stdin=apiserver.manifest(keyless))
        assert 'omits key field "port"' in told
        stale = two_ports()
        stale["metadata"]["resourceVersion"] = "1"
        apply(kubectl, "--server-side", two_ports())
        told = kubectl.refused(*words, stdin=apiserver.manifest(stale))
        assert "the object has been modified" in told

    def test_a_dry_run_and_a_diff_change_nothing(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", two_ports())
        before = get(kubectl, "svc", "app1")
        changed = apiserver.manifest(two_ports(sessionAffinity="ClientIP"))
        kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=changed)
        differs = kubectl.run("diff", "--server-side", "-f", "-", stdin=changed)
        assert differs.returncode == 1, differs.stderr
        assert "+  sessionAffinity: ClientIP" in differs.stdout
        same = kubectl.run(
            "diff", "--server-side", "-f", "-", stdin=apiserver.manifest(two_ports())
        )
        assert (same.returncode, same.stdout) == (0, "")
        assert get(kubectl, "svc", "app1") == before

    def test_from_client_side_to_server_side(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, two_ports())
        assert set(managers(get(kubectl, "svc", "app1"))) == {
            ("kubectl-client-side-apply", "Update", "")
        }
        less = two_ports()
        del less["spec"]["ports"][1]
        less["spec"]["ports"][0]["targetPort"] = 8081
        apply(kubectl, "--server-side", less)
        found = get(kubectl, "svc", "app1")
        # kubectl has moved its fields over, and keeps the annotation under another name.
        assert set(managers(found)) == {
            ("kubectl", "Apply", ""),
            ("kubectl-last-applied", "Apply", ""),
        }
        assert [port["name"] for port in found["spec"]["ports"]] == ["web"]
        # The annotation keeps up, so that the way back is open, too.
        noted = json.loads(found["metadata"]["annotations"][LAST_APPLIED])
        assert noted["spec"]["ports"] == less["spec"]["ports"]
        apply(kubectl, two_ports())
        assert len(get(kubectl, "svc", "app1")["spec"]["ports"]) == 2

    def test_managed_fields_can_be_forgotten(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, "--server-side", "--field-manager=ann", config(a="1"))
        reset = '{"metadata":{"managedFields":[{}]}}'
        kubectl("patch", "configmap", "c", "--type=merge", "-p", reset)
        assert managers(get(kubectl, "configmap", "c")) == {}
        apply(kubectl, "--server-side", "--field-manager=bob", config(b="2"))
        assert set(managers(get(kubectl, "configmap", "c"))) == {
            ("bob", "Apply", ""),
            ("before-first-apply", "Update", ""),
        }

    def test_a_status_has_managers_of_its_own(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, pod("a"))
        state = {"type": "Lesson", "status": "True"}
        body = json.dumps({"status": {"conditions": [state]}})
        kubectl("patch", "pod", "a", "--subresource=status", "--type=merge", "-p", body)
        owned = managers(get(kubectl, "pod", "a"))
        mine = owned["kubectl-patch", "Update", "status"]
        assert list(mine) == ["f:status"]
        assert 'k:{"type":"Lesson"}' in mine["f:status"]["f:conditions"]
        assert "f:status" not in owned["kubectl-client-side-apply", "Update", ""]


class TestClientSide:
    def test_a_port_is_added_and_removed(self, kubectl: apiserver.Kubectl) -> None:
        assert apply(kubectl, two_ports()) == "service/app1 created\n"
        assert apply(kubectl, two_ports()) == "service/app1 unchanged\n"
        address = get(kubectl, "svc", "app1")["spec"]["clusterIP"]
        more = two_ports()
        more["spec"]["ports"].append({"name": "dns", "port": 53, "protocol": "UDP"})
        del more["spec"]["ports"][0]
        assert apply(kubectl, more) == "service/app1 configured\n"
        spec = get(kubectl, "svc", "app1")["spec"]
        assert [(port["name"], port["protocol"]) for port in spec["ports"]] == [
            ("admin", "TCP"),
            ("dns", "UDP"),
        ]
        assert spec["clusterIP"] == address

    def test_what_others_set_stays(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, config(a="1", b="1"))
        kubectl("label", "configmap", "c", "lesson=one")
        kubectl("patch", "configmap", "c", "-p", '{"data":{"other":"x"}}')
        apply(kubectl, config(a="2"))
        found = get(kubectl, "configmap", "c")
        assert found["data"] == {"a": "2", "other": "x"}
        assert found["metadata"]["labels"] == {"lesson": "one"}
        owned = managers(found)
        assert owned["kubectl-label", "Update", ""]["f:metadata"]["f:labels"] == {
            ".": {},
            "f:lesson": {},
        }
        assert owned["kubectl-patch", "Update", ""]["f:data"] == {"f:other": {}}

    def test_lists_of_a_deployment_merge(self, kubectl: apiserver.Kubectl) -> None:
        wanted = deployment()
        (container,) = wanted["spec"]["template"]["spec"]["containers"]
        container["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
        apply(kubectl, wanted)
        side = {"name": "side", "image": "labkit/echo"}
        spec = {"template": {"spec": {"containers": [side]}}}
        kubectl("patch", "deployment", "web", "-p", json.dumps({"spec": spec}))
        container["env"] = [{"name": "B", "value": "2"}]
        apply(kubectl, wanted)
        found = get(kubectl, "deployment", "web")["spec"]["template"]["spec"]["containers"]
        assert {each["name"] for each in found} == {"echo", "side"}
        echo = next(each for each in found if each["name"] == "echo")
        assert echo["env"] == [{"name": "B", "value": "2"}]

    def test_a_pod_can_hardly_change(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, pod("a"))
        text = apiserver.manifest(pod("a", hostNetwork=True))
        told = kubectl.refused("apply", "-f", "-", stdin=text)
        assert "pod updates may not change fields other than" in told
        assert apply(kubectl, pod("a")) == "pod/a unchanged\n"

    def test_diff_tells_by_its_exit_status(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, config(a="1"))
        same = kubectl.run("diff", "-f", "-", stdin=apiserver.manifest(config(a="1")))
        assert (same.returncode, same.stdout) == (0, "")
        differs = kubectl.run("diff", "-f", "-", stdin=apiserver.manifest(config(a="2")))
        assert differs.returncode == 1
        assert '-  a: "1"\n+  a: "2"' in differs.stdout
        new = apiserver.manifest({**config(a="1"), "metadata": {"name": "d"}})
        assert kubectl.run("diff", "-f", "-", stdin=new).returncode == 1
        kubectl.refused("get", "configmap", "d")

    def test_the_last_applied_manifest(self, kubectl: apiserver.Kubectl, tmp_path: Path) -> None:
        apply(kubectl, config(a="1"))
        viewed = kubectl("apply", "view-last-applied", "configmap/c", "-o", "json")
        assert json.loads(viewed)["data"] == {"a": "1"}
        manifest = tmp_path / "c.json"
        manifest.write_text(json.dumps(config(a="1", b="2")))
        kubectl("apply", "set-last-applied", "-f", str(manifest))
        viewed = kubectl("apply", "view-last-applied", "configmap/c")
        assert 'b: "2"' in viewed
        editor = an_editor(tmp_path, 'b: "2"', 'b: "3"')
        kubectl("apply", "edit-last-applied", "configmap/c", KUBE_EDITOR=editor)
        noted = get(kubectl, "configmap", "c")["metadata"]["annotations"][LAST_APPLIED]
        assert json.loads(noted)["data"] == {"a": "1", "b": "3"}

    def test_prune_deletes_what_is_no_longer_there(self, kubectl: apiserver.Kubectl) -> None:
        def labelled(name: str) -> dict[str, Any]:
            return {**config(a="1"), "metadata": {"name": name, "labels": {"set": "one"}}}

        words = ("--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap")
        apply(kubectl, *words, labelled("c"), labelled("d"))
        # Not applied, so not pruned.
        kubectl("create", "configmap", "e")
        kubectl("label", "configmap", "e", "set=one")
        told = apply(kubectl, *words, labelled("c"))
        assert told.splitlines() == ["configmap/c unchanged", "configmap/d pruned"]
        names = apiserver.names(kubectl.rows("configmaps", "-l", "set=one"))
        assert names == ["c", "e"]

    def test_a_folder_and_several_documents(
        self, kubectl: apiserver.Kubectl, tmp_path: Path
    ) -> None:
        (tmp_path / "a.json").write_text(json.dumps(config(a="1")))
        (tmp_path / "b.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\ndata:\n  day: 2001-01-01\n"
        )
        (tmp_path / "ignored.txt").write_text("nothing")
        told = kubectl("apply", "-f", str(tmp_path))
        assert told.splitlines() == ["configmap/c created", "configmap/d created"]
        text = "".join(f"---\n{json.dumps(each)}\n" for each in (config(a="2"), two_ports()))
        told = kubectl("apply", "-f", "-", stdin=text)
        assert told.splitlines() == ["configmap/c configured", "service/app1 created"]


class TestOtherWrites:
    def test_edit(self, kubectl: apiserver.Kubectl, tmp_path: Path) -> None:
        apply(kubectl, two_ports())
        editor = an_editor(tmp_path, "port: 80$", "port: 81")
        told = kubectl("edit", "service", "app1", KUBE_EDITOR=editor)
        assert told == "service/app1 edited\n"
        found = get(kubectl, "svc", "app1")
        assert [port["port"] for port in found["spec"]["ports"]] == [81, 9000]
        assert ("kubectl-edit", "Update", "") in managers(found)
        untouched = an_editor(tmp_path, "nothing like this", "")
        told = kubectl.run("edit", "service", "app1", KUBE_EDITOR=untouched).stderr
        assert told == "Edit cancelled, no changes made.\n"

    def test_edit_conflicts_with_apply(self, kubectl: apiserver.Kubectl, tmp_path: Path) -> None:
        apply(kubectl, "--server-side", two_ports())
        editor = an_editor(tmp_path, "targetPort: 8080", "targetPort: 8081")
        kubectl("edit", "service", "app1", KUBE_EDITOR=editor)
        text = apiserver.manifest(two_ports())
        told = kubectl.refused("apply", "--server-side", "-f", "-", stdin=text)
        assert 'conflict with "kubectl-edit" using v1: ' in told
        assert '.spec.ports[port=80,protocol="TCP"].targetPort\n' in told

    def test_replace_by_force_makes_another(
        self, kubectl: apiserver.Kubectl, tmp_path: Path
    ) -> None:
        apply(kubectl, pod("a"))
        before = get(kubectl, "pod", "a")["metadata"]["uid"]
        manifest = tmp_path / "pod.json"
        manifest.write_text(json.dumps(pod("a", hostNetwork=True)))
        told = kubectl("replace", "--force", "--grace-period=0", "-f", str(manifest))
        assert told.splitlines()[-1] == "pod/a replaced"
        after = get(kubectl, "pod", "a")
        assert after["metadata"]["uid"] != before
        assert set(managers(after)) >= {("kubectl-replace", "Update", "")}

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("strategic", '{"spec":{"ports":[{"port":80,"targetPort":1}]}}'),
            ("merge", '{"spec":{"sessionAffinity":"ClientIP"}}'),
            ("json", '[{"op":"replace","path":"/spec/ports/1/name","value":"x"}]'),
        ],
    )
    def test_patch(self, kubectl: apiserver.Kubectl, kind: str, body: str) -> None:
        apply(kubectl, two_ports())
        told = kubectl("patch", "svc", "app1", f"--type={kind}", "-p", body)
        assert told == "service/app1 patched\n"
        assert kubectl("patch", "svc", "app1", f"--type={kind}", "-p", body) == (
            "service/app1 patched (no change)\n"
        )
        found = get(kubectl, "svc", "app1")
        assert len(found["spec"]["ports"]) == 2
        assert ("kubectl-patch", "Update", "") in managers(found)

    def test_patch_the_scale(self, kubectl: apiserver.Kubectl) -> None:
        apply(kubectl, deployment(replicas=1))
        body = '{"spec":{"replicas":3}}'
        kubectl("patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", body)
        found = get(kubectl, "deployment", "web")
        assert found["spec"]["replicas"] == 3
        assert managers(found)["kubectl-patch", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
