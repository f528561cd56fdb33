"""`kubectl logs`: the real kubectl, API server and podlet, over the kubelet's own port."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

from labkit.model import kubelet
from labkit.podlet import trimming
from tests.netns import command, podlet_node
from tests.netns import kubectl as kubectl_of
from tests.netns.isolation import isolated, run
from tests.netns.kubectl import kubectl, refused
from tests.netns.podlet_node import FOLDER, NODE_IP, container_of
from tests.netns.test_podlet import is_backing_off

pytestmark = [command.needs_kubectl]

#: Says three lines, then one more for each that it is asked for, and ends at the fourth.
TALK = f"""
seq 3; mkfifo {FOLDER}/ask; exec 3<>{FOLDER}/ask
while read -r line <&3 && [ "$line" != end ]; do echo "$line"; done
printf bye
"""


def script(text: str, **fields: Any) -> dict[str, Any]:
    command = ["sh", "-c", text]
    return {"image": "labkit/host", "command": command, "pod": {"restartPolicy": "Never"}} | fields


def following(node: podlet_node.Node, *words: str) -> subprocess.Popen[str]:
    argv = kubectl_of.argv(node, "logs", "-f", *words)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def ask(line: str) -> None:
    (FOLDER / "ask").write_text(f"{line}\n")


def threads_of(node: podlet_node.Node) -> int:
    assert node.podlet is not None
    return len(list(Path(f"/proc/{node.podlet.pid}/task").iterdir()))


@isolated
def test_a_log_is_shown_cut_and_selected() -> None:
    with podlet_node.running() as node:
        node.create_pod("talk", **script("seq 1000"))
        node.wait_pod("talk", lambda pod: pod["status"].get("phase") == "Succeeded")
        whole = "".join(f"{number}\n" for number in range(1, 1001))
        assert kubectl(node, "logs", "talk") == whole
        assert kubectl(node, "logs", "pod/talk", "-c", "main") == whole
        assert kubectl(node, "logs", "talk", "--tail=2") == "999\n1000\n"
        assert kubectl(node, "logs", "talk", "--tail=0") == ""
        assert kubectl(node, "logs", "talk", "--limit-bytes=4") == "1\n2\n"
        assert kubectl(node, "logs", "talk", "--since=1h") == whole
        assert kubectl(node, "logs", "talk", "--since-time=2020-01-01T00:00:00Z") == whole
        assert kubectl(node, "logs", "-l", "name=talk", "--tail=1", "--prefix") == (
            "[pod/talk/main] 1000\n"
        )
        assert kubectl(node, "logs", "-f", "talk", "--tail=1") == "1000\n", "it has ended"


@isolated
def test_what_cannot_be_shown_is_refused_in_kubernetes_words() -> None:
    with podlet_node.running() as node:
        node.create_pod("web", image="nginx:1.25")
        node.wait_pod("web", lambda pod: container_of(pod).get("state", {}).get("waiting"))
        bad = "Error from server (BadRequest): "
        waits = f'{bad}container "main" in pod "web" is waiting to start: '
        told = refused(node, "logs", "web").removeprefix(waits)
        assert told in ("image can't be pulled", "trying and failing to pull image")
        assert refused(node, "logs", "web", "-c", "nope") == (
            "error: container nope is not valid for pod web"
        )
        assert refused(node, "logs", "web", "--previous") == (
            f'{bad}previous terminated container "main" in pod "web" not found'
        )
        assert refused(node, "logs", "gone") == (
            'error: error from server (NotFound): pods "gone" not found in namespace "default"'
        )
        assert refused(
            node, "get", "--raw", "/api/v1/namespaces/default/pods/web/log?container=x"
        ) == (f"{bad}container x is not valid for pod web")
        assert "have no timestamps" in refused(node, "logs", "web", "--timestamps")
        node.stop_podlet()
        assert "connection refused" in refused(node, "logs", "web").lower()


@isolated
def test_a_log_is_followed_until_its_container_ends() -> None:
    with podlet_node.running() as node:
        node.create_pod("talk", **script(TALK))
        node.wait_ready("talk")
        quiet = threads_of(node)
        first, second = following(node, "talk"), following(node, "talk", "--tail=1")
        assert lines_of(first, 3) == ["1", "2", "3"]
        assert lines_of(second, 1) == ["3"]
        begun = time.monotonic()
        ask("four")
        assert lines_of(first, 1) == lines_of(second, 1) == ["four"]
        assert time.monotonic() - begun < 1
        second.terminate()
        second.wait(5)
        node.wait_until(lambda: threads_of(node) == quiet + 1)
        ask("end")
        assert first.communicate(timeout=5)[0] == "bye"
        assert first.returncode == 0
        node.wait_until(lambda: threads_of(node) == quiet)


@isolated
def test_following_ends_when_the_pod_is_deleted_also_after_a_restart_of_the_podlet() -> None:
    with podlet_node.running() as node:
        node.create_pod("quiet", **script("echo here; exec sleep 1000"))
        node.wait_ready("quiet")
        node.stop_podlet()
        node.start_podlet()
        node.wait_until(lambda: "here" in kubectl_or_nothing(node, "logs", "quiet"))
        reader = following(node, "quiet")
        assert lines_of(reader, 1) == ["here"]
        node.delete_pod("quiet", grace_s=0)
        assert reader.communicate(timeout=5)[0] in ("", "Terminated\n"), "says its shell, perhaps"
        assert reader.returncode == 0
        # Without a grace the API forgets the pod first; the podlet tidies up after that.
        node.wait_until(lambda: not list((FOLDER / "logs").iterdir()))


#: 15 MB at once, as soon as it is asked; then each line that it is asked for.
FLOOD = f"""
mkfifo {FOLDER}/ask; exec 3<>{FOLDER}/ask; echo 0
while read -r line <&3; do if [ "$line" = flood ]; then seq 2000000; else echo "$line"; fi; done
"""


@isolated
def test_a_log_stays_small_and_its_follower_misses_nothing() -> None:
    with podlet_node.running() as node:
        pod = node.create_pod("flood", **script(FLOOD))
        node.wait_ready("flood")
        reader = following(node, "flood")
        assert lines_of(reader, 1) == ["0"]
        ask("flood")
        assert lines_of(reader, 2_000_000) == [str(number) for number in range(1, 2_000_001)]
        file = FOLDER / f"logs/default_flood_{podlet_node.uid_of(pod)}/main/0.log"
        wait_cut(file)
        ask("after")
        assert lines_of(reader, 1) == ["after"]
        reader.terminate()
        reader.wait(5)
        left = kubectl(node, "logs", "flood").splitlines()
        assert left[-1] == "after"
        numbers = [int(line) for line in left[:-1]]
        assert 1 < numbers[0] < 2_000_000, "what it gave up is not shown"
        assert numbers == list(range(numbers[0], 2_000_001)), "whole lines, without a gap"
        assert kubectl(node, "logs", "flood", "--tail=2") == "2000000\nafter\n"
        assert kubectl(node, "logs", "flood", "--limit-bytes=5") == f"{numbers[0]}\n"[:5]


def wait_cut(file: Path) -> None:
    """Until the podlet has cut the log enough: at its second look, or its third."""
    argv = ("timeout", str(4 * trimming.EVERY_S), "tail", "-n", "+1", "-f", FOLDER / "podlet.log")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        cuts = (line for line in tail.stdout if "given up" in line)
        is_small = any(file.stat().st_blocks * 512 <= trimming.LIMIT for _ in cuts)
        tail.terminate()
    assert is_small, "the log was not cut"


def kubectl_or_nothing(node: podlet_node.Node, *words: str) -> str:
    return run(*kubectl_of.argv(node, *words), check=False)


@isolated
def test_each_container_and_each_run_has_a_log_of_its_own() -> None:
    with podlet_node.running() as node:
        text = (
            f"echo run; [ -e {FOLDER}/again ] || {{ touch {FOLDER}/again; exit 1; }}; exec sleep 99"
        )
        twin = {"name": "twin", "image": "labkit/host", "command": ["sh", "-c", "echo I; sleep 99"]}
        main = {"name": "main", "image": "labkit/host", "command": ["sh", "-c", text]}
        node.create_pod("two", pod={"containers": [main, twin]})
        node.wait_ready("two")
        node.wait_pod("two", lambda pod: container_of(pod).get("restartCount") == 1)
        assert kubectl(node, "logs", "two", "-c", "twin") == "I\n"
        assert kubectl(node, "logs", "two") == "run\n"
        assert kubectl(node, "logs", "two", "--previous") == "run\n"
        assert refused(node, "get", "--raw", "/api/v1/namespaces/default/pods/two/log") == (
            "Error from server (BadRequest): a container name must be specified for pod two, "
            "choose one of: [main twin]"
        )

        node.create_pod("failing", image="labkit/host", command=["sh", "-c", "echo failing; false"])
        node.wait_pod("failing", is_backing_off)
        assert kubectl(node, "logs", "failing") == "failing\n", "it waits: its last run counts"
        assert kubectl(node, "logs", "failing", "--previous") == "failing\n"


@isolated
def test_nobody_but_the_api_server_is_answered() -> None:
    with podlet_node.running() as node:
        node.create_pod("talk", **script("echo secret; exec sleep 99"))
        node.wait_ready("talk")
        assert b"secret" in ask_kubelet("apiserver-kubelet-client")
        for pair in ("", "kubelet-node1", "server", "stranger"):
            assert ask_kubelet(pair) == b"", pair or "no certificate"
        listening = run("ss", "-Hltn", "sport", "=", f":{kubelet.PORT}").split()
        assert listening[3] == f"{NODE_IP}:{kubelet.PORT}"
        token = node.token_of("system:node:node1")
        path = "/api/v1/namespaces/default/pods/talk/log"
        told = refused(node, "--token", token, "get", "--raw", path)
        assert 'cannot get resource "pods/log"' in told


def ask_kubelet(pair: str) -> bytes:
    """What the kubelet's port says to who shows this certificate; empty when it hangs up."""
    keys = FOLDER / "pki"
    tls = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    if pair == "stranger":
        make_stranger(keys)
    if pair:
        tls.load_cert_chain(keys / f"{pair}.crt", keys / f"{pair}.key")
    request = b"GET /containerLogs/default/talk/main HTTP/1.1\r\nHost: node1\r\n\r\n"
    try:
        with (
            socket.create_connection((str(NODE_IP), kubelet.PORT), timeout=5) as plain,
            tls.wrap_socket(plain, server_hostname=str(NODE_IP)) as sock,
        ):
            sock.sendall(request)
            return b"".join(iter(lambda: sock.recv(4096), b""))
    except (ssl.SSLError, ConnectionError):
        return b""


def make_stranger(keys: Path) -> None:
    """A client whom the lab's authority knows, and who is not the API server."""
    from labkit.deploy import certificates

    authority = ((keys / "ca.crt").read_text(), (keys / "ca.key").read_text())
    pair = certificates.make_client(authority, "system:node:node1")
    for suffix, text in zip(("crt", "key"), pair, strict=True):
        (keys / f"stranger.{suffix}").write_text(text)
