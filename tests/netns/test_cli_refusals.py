"""What a lab that runs refuses, in whose words, with which exit status; and what is printed where.

All through the real command, in a process of its own, against one lab that no test changes.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns import command
from tests.netns.command import Shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def service(spec: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: odd}}\nspec: {{{spec}}}"


def pod(spec: str) -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: odd}}\nspec: {{{spec}}}"


@pytest.fixture(scope="module")
def up() -> Iterator[Shell]:
    """A learner whose lab is up: one worker, the example, a client. Tests leave it as it is."""
    home = Path(tempfile.mkdtemp(prefix="lk"))
    for name in ("STATE_HOME", "RUNTIME_DIR"):
        (home / name).mkdir(mode=0o700)
    (home / "work").mkdir()
    shell = Shell(home, home / "work")
    try:
        begun = shell.labkit("up", "--workers", "1")
        assert begun.status == 0, begun.stderr
        yield shell
    finally:
        shell.labkit("down", "--purge", "--yes")
        shutil.rmtree(home)


# --- Names that nothing has -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "id_", "says", "hint"),
    [
        ("inspect nope", "LK-API-NOT-FOUND", 'services "nope" not found', ""),
        ("inspect app1 --node nope", "LK-NOTHING-MATCHED", "no node 'nope'", "control, node1, cli"),
        ("exec nope -- true", "LK-NOTHING-MATCHED", "no node and no pod 'nope'", "labkit get pods"),
        ("ssh nope", "LK-NOTHING-MATCHED", "no node 'nope'", "it has control, node1, client"),
        ("logs nope", "LK-NOTHING-MATCHED", "no node and no pod 'nope'", "nodes are control"),
        ("logs node1/nope", "LK-NOTHING-MATCHED", "/var/log/labkit/nope.log", "labkit status"),
        ("get nothings", "LK-NOTHING-MATCHED", "no resource 'nothings'", "pods, services"),
        ("get pods nope", "LK-API-NOT-FOUND", 'pods "nope" not found', ""),
        ("delete pod nope", "LK-API-NOT-FOUND", 'pods "nope" not found', ""),
        ("delete nothings x", "LK-NOTHING-MATCHED", "no resource 'nothings'", "pods, services"),
        ("get pods --name nope", "LK-NOTHING-MATCHED", "there is no lab nope", "`labkit ls`"),
    ],
)
def test_a_name_that_nothing_has(up: Shell, line: str, id_: str, says: str, hint: str) -> None:
    up.labkit(*line.split()).refused(4, id_, says, hint)


def test_a_node_has_more_than_one_log(up: Shell) -> None:
    up.labkit("logs", "node1").refused(2, "LK-USAGE", "node1/kube-proxy")


def test_a_program_ends_as_it_would_on_the_node(up: Shell) -> None:
    missing = up.labkit("exec", "node1", "--", "no-such-program")
    assert (missing.status, missing.stdout) == (127, "")
    assert "not found" in missing.stderr
    assert up.labkit("exec", "node1", "--", "sh", "-c", "exit 41").status == 41


# --- Objects that cannot be -----------------------------------------------------------------------


#: A manifest, and what is said about it.
REFUSED = {
    service("type: NodePort, ports: [{port: 80, nodePort: 30062}]"): (
        'Service "odd" is invalid: spec.ports[0].nodePort: Invalid value: 30062: '
        "provided port is already allocated"
    ),
    service("type: NodePort, ports: [{port: 80, nodePort: 80}]"): (
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767"
    ),
    service("clusterIP: 10.97.0.1, ports: [{port: 80}]"): (
        "the provided IP (10.97.0.1) is not in the valid range. "
        "The range of valid IPs is 10.96.0.0/16"
    ),
    service("clusterIP: 10.96.0.1, ports: [{port: 80}]"): (
        "failed to allocate IP 10.96.0.1: provided IP is already allocated"
    ),
    service("ports: [{port: eighty}]"): (
        "cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"
    ),
    service("ports: []"): "spec.ports: Required value",
    service("prots: [{port: 80}]"): 'unknown field "spec.prots"',
    pod("containers: []"): "spec.containers: Required value",
}
NOT_SENT = {
    service("ports: [{port: 80}]")[:-1]: "is not YAML",
    "kind: Service\nmetadata: {name: odd}\n": "no kind 'Service' in version None",
    pod("").replace("Pod", "Deployment"): "no kind 'Deployment'",
    pod("").replace("name: odd", ""): "a Pod without a name",
    "- 1\n": "not a Kubernetes object",
    "# nothing yet\n": "is empty",
}


@pytest.mark.parametrize(("manifest", "says"), REFUSED.items())
def test_an_object_that_the_server_refuses(up: Shell, manifest: str, says: str) -> None:
    up.labkit("apply", "-f", "-", stdin=manifest).refused(2, "LK-API-INVALID", says)


@pytest.mark.parametrize(("manifest", "says"), NOT_SENT.items())
def test_a_manifest_that_is_none(up: Shell, manifest: str, says: str) -> None:
    up.labkit("apply", "-f", "-", stdin=manifest).refused(2, "LK-CONFIG", says)


def test_an_object_for_a_namespace_that_is_not_there(up: Shell) -> None:
    manifest = pod("containers: [{name: a, image: b}]").replace("odd", "odd, namespace: nope")
    done = up.labkit("apply", "-f", "-", stdin=manifest)
    done.refused(4, "LK-API-NOT-FOUND", 'namespaces "nope" not found')


def test_nothing_that_was_refused_is_there(up: Shell) -> None:
    for kind in ("services", "pods"):
        assert "odd" not in up.labkit("get", kind, "-A", "-o", "name").stdout


@command.needs_kubectl
@pytest.mark.parametrize(
    ("port", "says"),
    [
        ("30062", "spec.ports[0].nodePort: Invalid value: 30062: provided port is already"),
        ("80", "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid"),
        ("x", "cannot unmarshal string into Go struct field ServicePort.spec.ports.nodePort of"),
    ],
)
def test_kubectl_hears_what_a_real_server_says(up: Shell, port: str, says: str) -> None:
    manifest = service(f"type: NodePort, ports: [{{port: 80, nodePort: {port}}}]")
    done = up.labkit("kubectl", "--", "create", "-f", "-", stdin=manifest)
    assert (done.status, done.stdout) == (1, "")
    assert says in done.stderr


# --- A pod that does not come up ------------------------------------------------------------------


@command.needs_kubectl
def test_an_image_that_nobody_has(up: Shell) -> None:
    manifest = pod("containers: [{name: a, image: nginx}]")
    assert up.labkit("apply", "-f", "-", stdin=manifest).status == 0
    try:
        wait = ["kubectl", "--", "wait", "pod/odd", "--timeout=20s"]
        reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImagePull"
        assert up.labkit(*wait, f"--for={reason}").status == 0
        assert "ErrImagePull" in up.labkit("get", "pods", "odd").stdout
        events = json.loads(up.labkit("get", "events", "-o", "json").stdout)["items"]
        told = [each["message"] for each in events if each["involvedObject"]["name"] == "odd"]
        assert any('"nginx": labkit has no registry; built-in' in each for each in told), told
        logs = up.labkit("logs", "odd")
        logs.refused(4, "LK-NOTHING-MATCHED", "there is no log", "labkit get events")
    finally:
        assert up.labkit("delete", "pod", "odd").status == 0


@command.needs_kubectl
def test_up_says_what_the_examples_pods_wait_for(up: Shell) -> None:
    def kubectl(*argv: str) -> None:
        assert up.labkit("kubectl", "--", *argv).status == 0

    kubectl("cordon", "node1")
    try:
        kubectl("delete", "pod", "app1-1")
        done = up.labkit("up", "--timeout", "1s")
        done.refused(6, "LK-TIMED-OUT", "for pod app1-1", "nodes are available")
    finally:
        kubectl("uncordon", "node1")
    assert up.labkit("up").status == 0


def test_without_kubectl_one_is_told_where_to_get_it(up: Shell) -> None:
    done = up.labkit("kubectl", "get", "pods", env={"PATH": "/nowhere"})
    done.refused(5, "LK-NOT-SUPPORTED", "kubectl is not installed", "kubernetes.io/docs")


# --- What is printed where ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["up", "status", "ls", "get pods", "get svc app1", "inspect app1", "inspect", "version"]
)
def test_stdout_is_json_and_nothing_else(up: Shell, line: str) -> None:
    done = up.labkit(*line.split(), "-o", "json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)


def on_terminal(shell: Shell, *argv: str, **env: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "labkit.cli", *argv]
    full = shell.environment({"TERM": "xterm-256color", **env})
    with subprocess.Popen(
        program, env=full, cwd=shell.folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last one at the other side has closed it
        return b""


def test_a_terminal_has_colours_unless_told_otherwise(up: Shell) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38;[25])[0-9;]*m")
    assert colour.search(on_terminal(up, "up"))
    assert not colour.search(on_terminal(up, "up", NO_COLOR="1"))
