"""`kubectl exec`: the real kubectl, API server and podlet, and a program in the pod."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import Any

from tests.netns import command, podlet_node
from tests.netns import kubectl as kubectl_of
from tests.netns.isolation import isolated
from tests.netns.kubectl import ended, kubectl, refused

pytestmark = [command.needs_kubectl]

SLEEPER: dict[str, Any] = {
    "image": "labkit/host",
    "command": ["sleep", "1000"],
    "env": [{"name": "GREETING", "value": "hello"}],
    "workingDir": "/usr",
}


@isolated
def test_a_program_runs_in_the_pod_and_its_end_is_told() -> None:
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        obj = node.wait_ready("a")
        shown = kubectl(node, "exec", "a", "--", "ip", "-4", "-br", "address", "show", "eth0")
        assert obj["status"]["podIP"] in shown
        text = "echo $GREETING $POD_NAME; pwd; hostname; echo bad >&2; exit 7"
        status, printed, complaint = ended(node, "exec", "a", "-c", "main", "--", "sh", "-c", text)
        assert (status, printed) == (7, "hello a\n/usr\na\n")
        assert complaint == "bad\ncommand terminated with exit code 7"
        assert kubectl(node, "exec", "pod/a", "--", "true") == ""
        status, _, complaint = ended(node, "exec", "a", "--", "nonesuch")
        assert status == 127
        assert "nonesuch" in complaint
        status, _, _ = ended(node, "exec", "a", "--", "sh", "-c", "kill -9 $$")
        assert status == 137


@isolated
def test_input_goes_in_whole_and_output_comes_out_whole() -> None:
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        data = os.urandom(3_000_000)
        done = subprocess.run(
            kubectl_of.argv(node, "exec", "-i", "a", "--", "cat"),
            input=data,
            capture_output=True,
            check=True,
            timeout=30,
        )
        assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
        # Who does not read is not waited for.
        assert ended(node, "exec", "-i", "a", "--", "true", stdin="x" * 1_000_000)[0] == 0


@isolated
def test_files_can_be_copied() -> None:
    """`kubectl cp` is a tar at the other end of an exec."""
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        here, there = podlet_node.FOLDER / "here", podlet_node.FOLDER / "there"
        here.write_text("text\n")
        kubectl(node, "cp", str(here), f"a:{there}")
        assert there.read_text() == "text\n"
        back = podlet_node.FOLDER / "back"
        kubectl(node, "cp", f"a:{there}", str(back))
        assert back.read_text() == "text\n"


@isolated
def test_a_terminal_is_one() -> None:
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        ours, theirs = os.openpty()
        words = (
            "exec",
            "-it",
            "a",
            "--",
            "sh",
            "-c",
            "tty; stty size; read x; echo got $x; exit 3",
        )
        with subprocess.Popen(
            kubectl_of.argv(node, *words), stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            seen = read_until(ours, "0")
            assert "/dev/pts/" in seen
            os.write(ours, b"this\r")
            assert "got this" in read_until(ours, "got this")
            assert process.wait(10) == 3
        os.close(ours)


def read_until(terminal: int, words: str) -> str:
    seen = ""
    while words not in seen:
        seen += os.read(terminal, 1000).decode()
    return seen


@isolated
def test_a_client_that_leaves_takes_its_program_along() -> None:
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        words = ("exec", "a", "--", "sh", "-c", "echo $$; exec sleep 12345")
        process = subprocess.Popen(kubectl_of.argv(node, *words), stdout=subprocess.PIPE)
        assert process.stdout is not None
        inner = process.stdout.readline().strip().decode()
        assert kubectl(node, "exec", "a", "--", "cat", f"/proc/{inner}/comm") == "sleep\n"
        process.kill()
        process.communicate()
        node.wait_until(lambda: ended(node, "exec", "a", "--", "test", "-e", f"/proc/{inner}")[0])


@isolated
def test_what_cannot_be_is_refused_in_words() -> None:
    with podlet_node.running() as node:
        node.create_pod("web", image="nginx:1.25")
        node.wait_pod("web", lambda pod: podlet_node.container_of(pod).get("state", {}))
        assert refused(node, "exec", "web", "--", "true") == (
            'error: unable to upgrade connection: container not found ("main")'
        )
        assert refused(node, "exec", "gone", "--", "true") == (
            'Error from server (NotFound): pods "gone" not found'
        )
        path = "/api/v1/namespaces/default/pods/web/exec?command=true&stdout=true"
        assert refused(node, "get", "--raw", path) == (
            "Error from server (BadRequest): Upgrade request required"
        )
        token = node.token_of("system:node:node1")
        told = refused(node, "--token", token, "exec", "web", "--", "true")
        assert 'cannot create resource "pods/exec"' in told


@isolated
def test_nobody_is_attached_to_what_writes_into_a_file() -> None:
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        told = refused(node, "attach", "a")
        assert "unable to upgrade connection: labkit's containers write straight" in told
        words = ("run", "once", "--image=labkit/host", "--restart=Never", "--rm", "-i")
        status, printed, complaint = ended(node, *words, "--command", "--", "echo", "hello")
        assert (status, printed) == (0, 'hello\npod "once" deleted\n'), complaint


@isolated
def test_a_client_that_speaks_spdy_is_told_what_to_do() -> None:
    """As kubectl until 1.30."""
    old = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
    with podlet_node.running() as node:
        node.create_pod("a", **SLEEPER)
        node.wait_ready("a")
        for words in (("exec", "a", "--", "true"), ("port-forward", "pod/a", ":80")):
            done = subprocess.run(
                kubectl_of.argv(node, *words),
                env={**os.environ, **old},
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert done.returncode == 1
            assert "upgrad" in done.stderr
            assert "use kubectl 1.31 or later" in done.stderr, done.stderr
