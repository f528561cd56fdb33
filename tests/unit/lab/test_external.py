"""Somebody else's API server: what is read, found, refused and marked, without any server."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from labkit import errors
from labkit.deploy import services
from labkit.lab import reports
from labkit.lab.external import checks, claims, kubeconfig, record, survey
from labkit.model import resources, spec
from labkit.model.resources import Object

MARK = "lab-00c0ffee"
EXTERNAL = services.External("", "", "", MARK)
YAML = """
apiVersion: v1
kind: Config
current-context: a
clusters:
- {name: k, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.crt}}
users:
- {name: u, user: {token: secret}}
- {name: plugin, user: {exec: {command: aws}}}
contexts:
- {name: a, context: {cluster: k, user: u}}
- {name: b, context: {cluster: k, user: plugin}}
"""


def node(name: str, mark: str = "", network: str = "") -> Object:
    labels = {resources.LAB: mark} if mark else {}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"podCIDR": network}}


def found(*nodes: Object, **more: Any) -> survey.Survey:
    return survey.Survey("v1.20.2", "uid", nodes, {}, **more)


class TestKubeconfig:
    def test_as_a_person_has_it(self, tmp_path: Path) -> None:
        (tmp_path / "ca.crt").write_text("CA")
        (tmp_path / "config").write_text(YAML)
        read = kubeconfig.read(spec.ControlPlaneSpec(str(tmp_path / "config")))
        assert (read.server, read.ca_pem, read.token) == ("https://10.0.0.1:6443", "CA", "secret")

    @pytest.mark.parametrize(
        ("text", "context", "says"),
        [
            (YAML, "b", r"logs in by a plug-in \(exec\)"),
            (YAML, "c", "no context named 'c'"),
            (YAML, "", r"ca\.crt, which the kubeconfig names, cannot be read"),
            ("a: [1", "", "is not YAML: .*line 1"),
            ("- 1", "", "is not a kubeconfig"),
            ("contexts: 3", "x", "is not a kubeconfig"),
        ],
    )
    def test_what_cannot_be_used_names_the_key_and_the_file(
        self, tmp_path: Path, text: str, context: str, says: str
    ) -> None:
        path = tmp_path / "config"
        path.write_text(text)
        with pytest.raises(errors.ConfigError, match=says) as caught:
            kubeconfig.read(spec.ControlPlaneSpec(str(path), context))
        assert str(caught.value).startswith(f"control_plane.kubeconfig: {path}")
        assert caught.value.exit_code == 2

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(errors.ConfigError, match="cannot be read: No such file"):
            kubeconfig.read(spec.ControlPlaneSpec(str(tmp_path / "none")))


class TestSurvey:
    @pytest.mark.parametrize(
        ("lease", "name", "acts"),
        [
            (None, "", False),
            ({"holderIdentity": ""}, "", False),
            ({"holderIdentity": "a"}, "a", False),
            ({"holderIdentity": "a", "renewTime": "2026-01-01T00:00:50.000000Z"}, "a", True),
            ({"holderIdentity": "a", "renewTime": "2026-01-01T00:00:29.000000Z"}, "a", False),
        ],
    )
    def test_who_renews_a_lease_acts(
        self, lease: dict[str, Any] | None, name: str, acts: bool
    ) -> None:
        full = {"spec": {"leaseDurationSeconds": 15, **lease}} if lease is not None else None
        now = survey._seconds("2026-01-01T00:01:00Z")
        assert survey.read_holder(full, now) == survey.Holder(name, acts)

    def test_what_the_lab_runs_itself_counts_as_missing(self) -> None:
        holders = {
            "kube-controller-manager": survey.Holder(f"control.{MARK}", acts=True),
            "kube-scheduler": survey.Holder("theirs", acts=True),
        }
        here = survey.Survey("v1", "uid", (), holders)
        assert here.missing(MARK) == ("kube-controller-manager",)
        assert here.missing("another") == ()

    @pytest.mark.parametrize(
        ("status", "kind", "says"),
        [
            (401, errors.ConfigError, "does not accept the kubeconfig's credentials"),
            (403, errors.NotSupported, "too few rights: no"),
            (500, errors.ApiError, "no"),
        ],
    )
    def test_a_server_that_refuses(
        self, status: int, kind: type[errors.LabkitError], says: str
    ) -> None:
        told = survey._explain(errors.api_error(status, {"message": "no"}))
        assert isinstance(told, kind)
        assert says in str(told)


class TestChecks:
    def test_what_is_ours_and_what_is_elsewhere_is_no_trouble(self) -> None:
        nodes = (node("node1", MARK, "10.244.1.0/24"), node("other", "", "10.9.0.0/24"))
        six = node("six", "", "fd00::/64")
        checks.check(spec.plan(), found(*nodes, six, api_address="10.96.0.1"), MARK, ())

    @pytest.mark.parametrize(
        ("there", "kind", "says"),
        [
            (found(node("node1", "theirs-1")), errors.Conflict, r"another lab's \(theirs-1\)"),
            (found(node("control")), errors.Conflict, "not of a lab"),
            (found(node("x", "", "10.244.9.0/24")), errors.ConfigError, "the node x of that"),
            (found(api_address="10.244.0.1"), errors.ConfigError, "network.pods .* is a Service"),
            (found(api_address="192.168.56.1"), errors.ConfigError, "network.machines"),
        ],
    )
    def test_what_cannot_be(
        self, there: survey.Survey, kind: type[errors.LabkitError], says: str
    ) -> None:
        with pytest.raises(kind, match=says) as caught:
            checks.check(spec.plan(), there, MARK, ())
        assert caught.value.hint

    def test_an_example_of_somebody_else(self) -> None:
        theirs = {**node("app1"), "kind": "Service"}
        theirs["metadata"]["namespace"] = "default"
        with pytest.raises(errors.Conflict, match="a service default/app1 already"):
            checks.check(spec.plan(), found(), MARK, (theirs,))


class TestClaims:
    def test_the_example_is_marked_and_stays_on_the_labs_nodes(self) -> None:
        service, *pods = claims.plan_example(MARK)
        assert service["metadata"]["labels"] == {"name": "app1", resources.LAB: MARK}
        assert service["spec"]["selector"] == {"name": "app1"}
        assert all(pod["spec"]["nodeSelector"] == {resources.LAB: MARK} for pod in pods)
        assert claims.plan_example("other") != (service, *pods), "and the original is as it was"

    def test_a_node_keeps_others_away_where_there_are_others(self) -> None:
        lab = spec.plan()
        worker = lab.node("node1")
        alone = claims.plan_node(worker, EXTERNAL)
        assert alone["metadata"]["labels"][resources.LAB] == MARK
        assert alone["spec"] == {
            "podCIDR": "10.244.1.0/24",
            "podCIDRs": ["10.244.1.0/24"],
            "taints": [],
        }
        shared = copy.copy(services.External("", "", "", MARK, is_shared=True))
        (taint,) = claims.plan_node(worker, shared)["spec"]["taints"]
        assert taint == {"key": resources.LAB, "value": MARK, "effect": "NoSchedule"}
        for pod in claims.plan_example(MARK)[1:]:
            (toleration,) = pod["spec"]["tolerations"]
            assert taint.items() <= toleration.items()


def test_a_mark_is_a_label_and_no_two_are_the_same() -> None:
    longest = "x" * 28
    assert record.new_mark(longest) != record.new_mark(longest)
    assert len(record.new_mark(longest)) <= 63


def test_what_is_remembered_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "control-plane.json"
    assert record.read(path) is None
    note = record.Record(MARK, "https://h", "uid", holds=True, components=("kube-scheduler",))
    record.write(path, note)
    assert record.read(path) == note
    assert path.stat().st_mode & 0o077 == 0


def test_a_control_plane_that_does_not_answer_is_part_of_the_status() -> None:
    lost = reports.ControlPlaneStatus("https://h", "no answer in time", answers=False)
    fine = reports.NodeStatus("a", "worker", "10.0.0.1", "running", {})
    status = reports.LabStatus("t", "netns", (fine,), lost)
    assert status.state == "partly running"
    assert "https://h (no answer in time)" in repr(status)
    assert status.to_json()["control_plane"]["answers"] is False


def test_what_is_left_is_said() -> None:
    said = reports.DownReport("t", was_running=True, purged=False, seconds=0, left="it is away")
    assert "Left on its API server: it is away." in repr(said)
    assert said.to_json()["left"] == "it is away"
