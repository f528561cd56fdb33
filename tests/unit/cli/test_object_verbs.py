"""apply, get, delete, inspect, kubectl."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from labkit import errors
from labkit.model import example
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld


def test_apply_takes_files_folders_and_stdin(run: Run, world: FakeWorld, tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "c.txt"):
        (tmp_path / name).touch()
    one = tmp_path / "c.txt"
    done = run("apply", "-f", str(tmp_path), "-f", "-", "-f", str(one), stdin="kind: Service")
    assert done.stdout == "service/app1 created\n" * 4
    assert world.lab.asked == [
        ("apply", tmp_path / "a.json"),
        ("apply", tmp_path / "b.yaml"),
        ("apply", "kind: Service"),
        ("apply", one),
    ]


def test_apply_as_data_and_by_name(run: Run) -> None:
    done = json.loads(run("apply", "-f", "-", "-o", "json").stdout)
    assert done["schema"] == "labkit.dev/applied"
    assert done["items"] == [{"kind": "Service", "name": "app1", "action": "created"}]
    assert run("apply", "-f", "-", "-o", "name").stdout == "service/app1\n"


def test_apply_of_what_is_not_there(run: Run, tmp_path: Path) -> None:
    done = run("apply", "-f", str(tmp_path / "gone.yaml"))
    assert (done.exit_code, done.stdout) == (2, "")
    done = run("apply", "-f", str(tmp_path))
    assert done.exit_code == 2
    assert "holds no manifest" in done.stderr
    assert run("apply").exit_code == 2


def test_a_refusal_of_the_api_server_is_shown_as_it_said_it(run: Run, world: FakeWorld) -> None:
    said = 'Service "app1" is invalid: spec.ports[0].nodePort: Invalid value: 30062: taken'
    world.lab.raises = errors.Invalid(said, status=422)
    done = run("apply", "-f", "-")
    assert done.exit_code == 2
    assert done.stderr == f"LK-API-INVALID {said}\n"


def test_get(run: Run, world: FakeWorld) -> None:
    assert "app1" in run("get", "svc").stdout
    run("get", "svc", "-A")
    run("get", "svc", "-n", "kube-system")
    run("get", "svc/app1")
    run("get", "svc", "app1")
    assert world.lab.asked == [
        ("get", "svc", None, "default"),
        ("get", "svc", None, None),
        ("get", "svc", None, "kube-system"),
        ("get", "svc", "app1", "default"),
        ("get", "svc", "app1", "default"),
    ]


def test_get_one_object_as_data_is_that_object(run: Run) -> None:
    assert yaml.safe_load(run("get", "svc", "app1", "-o", "yaml").stdout) == example.SERVICE
    many = json.loads(run("get", "svc", "-o", "json").stdout)
    assert many["kind"] == "List"
    assert run("get", "svc", "-o", "name").stdout == "service/kubernetes\nservice/app1\n"


def test_get_wants_one_name(run: Run) -> None:
    assert run("get", "svc/app1", "app2").exit_code == 2


def test_delete(run: Run, world: FakeWorld) -> None:
    assert run("delete", "svc/app1").stdout == "svc/app1 deleted\n"
    done = run("delete", "pods", "app1-1", "app1-2", "-n", "x", "-o", "name")
    assert done.stdout == "pods/app1-1\npods/app1-2\n"
    assert world.lab.asked == [
        ("delete", "svc", "app1", "default"),
        ("delete", "pods", "app1-1", "x"),
        ("delete", "pods", "app1-2", "x"),
    ]


def test_delete_of_everything_is_not_guessed(run: Run, world: FakeWorld) -> None:
    done = run("delete", "pods")
    assert (done.exit_code, world.lab.asked) == (2, [])
    assert "which of the pods?" in done.stderr


def test_inspect_one_service(run: Run, world: FakeWorld) -> None:
    assert run("inspect", "app1", "--node", "node1").stdout == "Service app1\n"
    assert json.loads(run("inspect", "kube-system/dns", "-o", "json").stdout)["name"] == "dns"
    assert world.lab.asked == [
        ("inspect", "app1", "default", "node1"),
        ("inspect", "dns", "kube-system", None),
    ]


def test_inspect_all_leaves_out_the_api_servers_own(run: Run, world: FakeWorld) -> None:
    assert run("inspect").stdout == "Service app1\n"
    assert [call for call in world.lab.asked if call[0] == "inspect"] == [
        ("inspect", "app1", "default", None)
    ]
    many = json.loads(run("inspect", "-o", "json").stdout)
    assert [item["name"] for item in many["items"]] == ["app1"]


def test_inspect_of_what_is_not_there(run: Run, world: FakeWorld) -> None:
    world.lab.raises = errors.NotFound('services "app9" not found', status=404)
    done = run("inspect", "app9")
    assert done.exit_code == 4
    assert done.stderr.startswith('LK-API-NOT-FOUND services "app9" not found')


def test_kubectl_gets_every_word_that_is_not_ours(run: Run, world: FakeWorld) -> None:
    done = run("kubectl", "--name", "other", "get", "pods", "-o", "wide", "--name", "x")
    assert done.exit_code == 7
    assert world.became == ["within", "kubectl", "get", "pods", "-o", "wide", "--name", "x"]
    assert world.lab.spec.name == "other"
    run("kubectl", "--", "-n", "default", "get", "pods")
    assert world.became == ["within", "kubectl", "-n", "default", "get", "pods"]


def test_kubectl_that_is_missing_can_be_got(run: Run, world: FakeWorld) -> None:
    world.programs.clear()
    done = run("kubectl", "get", "pods")
    assert done.exit_code == 5
    assert "kubernetes.io/docs/tasks/tools" in done.stderr
