"""A real lab: each way in is followed to the pod that answered, and no rule of ours stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from labkit import errors, faults, lab
from labkit.inspection import probing
from labkit.inspection.predict import asking
from labkit.inspection.trace import tracing
from labkit.lab import api
from labkit.model import resources
from tests.netns import test_probe_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def opened() -> Iterator[lab.Lab]:
    folder = Path(tempfile.mkdtemp(prefix="lk"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE_HOME", "RUNTIME_DIR"):
            (folder / name).mkdir(mode=0o700)
            patch.setenv(f"XDG_{name}", str(folder / name))
        patch.chdir(folder)
        made = lab.open_lab("t")
        made.up()
        yield made
        made.down(purge=True)
    shutil.rmtree(folder)


def rules_of(opened: lab.Lab) -> Mapping[str, list[str]]:
    """Every node's rules; without counters, and without the frame of a table that is empty."""
    return {
        node.name: [
            line
            for line in opened.exec(node.name, ["iptables-save"]).stdout.splitlines()
            if line.startswith("-A ")
        ]
        for node in opened.spec.cluster
    }


@pytest.mark.parametrize(
    ("sender", "via", "node", "chain"),
    [
        ("pod/app1-1", "cluster-ip", "", "KUBE-PORTALS-CONTAINER"),
        ("node/node1", "cluster-ip", "", "KUBE-PORTALS-HOST"),
        ("client", "node-port", "node2", "KUBE-NODEPORT-CONTAINER"),
        ("pod/app1-1", "node-port", "", "KUBE-NODEPORT-CONTAINER"),
        ("node/node1", "node-port", "node1", "KUBE-NODEPORT-HOST"),
        ("node/node1", "node-port", "node2", "KUBE-NODEPORT-CONTAINER"),
    ],
)
def test_each_way_in_is_followed_to_the_pod_that_answered(
    opened: lab.Lab, sender: str, via: str, node: str, chain: str
) -> None:
    before = rules_of(opened)
    found = opened.trace(asking.Request("app1", sender=sender, via=via, node=node))
    assert found.ok, repr(found)
    steps = [step for hop in found.hops for step in hop.steps]
    assert chain in [step.chain for step in steps if "default/app1" in step.rule]
    [chosen] = [hop.what for hop in found.hops if "chooses" in hop.what]
    [answered] = [
        hop.where for hop in found.hops if hop.where.startswith("pod ") and "takes" in hop.what
    ]
    assert chosen.split()[1] == answered.removeprefix("pod ")
    assert any("the proxy's first packet" in hop.what for hop in found.hops)
    assert found.translations
    assert rules_of(opened) == before


def test_a_datagram_is_followed_there_and_back(opened: lab.Lab) -> None:
    opened.apply(test_probe_lab.SHOUTER)
    opened.apply(test_probe_lab.UDP)
    opened.api.wait_for(
        resources.PODS, ["shout"], api.lacks_readiness, namespace="default", timeout_s=30
    )
    probing.wait_until_served(opened.pool, ["node1"], "default/shout", timeout_s=30)
    found = opened.trace("shout")
    assert found.ok, repr(found)
    told = [hop.what for hop in found.hops]
    order = ["the first packet", "takes what", "the proxy's first packet", "the pod's answer"]
    places = [next(i for i, what in enumerate(told) if what.startswith(one)) for one in order]
    back = next(i for i, what in enumerate(told) if what.startswith("the answer"))
    assert [*places, back] == sorted([*places, back])


def listeners(opened: lab.Lab, node: str) -> list[str]:
    """The processes of the script that listens, by number."""
    said = opened.exec(node, ["pgrep", "-f", "labkit-trace"]).stdout.split()
    return [
        pid
        for pid in said
        if "python3" in opened.exec(node, ["cat", f"/proc/{pid}/cmdline"]).stdout
    ]


@pytest.mark.parametrize("killed", ["the listener", "all"])
def test_the_rules_go_though_it_is_killed(opened: lab.Lab, killed: str) -> None:
    before = rules_of(opened)
    connection = opened.pool.connection("node1")
    rule = "-A PREROUTING -p tcp -m tcp --sport 20000 --dport 1 -j TRACE"
    connection.run(tracing.on_node("arm", "test", "30", rule))
    assert any("labkit-trace:test" in line for line in rules_of(opened)["node1"])
    first, *rest = listeners(opened, "node1")
    doomed = rest[-1:] if killed == "the listener" else [first, *rest]
    connection.run(["kill", "-9", *doomed])
    if killed == "all":  # then nobody was left, and the next trace does it
        assert opened.trace("app1").ok
    else:
        gone = "iptables-save -t raw | grep -q labkit-trace || exit 0"
        waited = f"for i in $(seq 100); do {gone}; done; exit 1"
        connection.run(["sh", "-c", waited], timeout_s=30)
    assert rules_of(opened) == before


WRONG = [
    # fault, sender, via, the cause as trace tells it, and as predict does; empty: the rules are
    # innocent, so predict lets it through
    ("wrong-target-port", "node/node1", "cluster-ip", "is targetPort right", ""),
    ("selector-typo", "client", "node-port", "has no endpoints", "has no endpoint"),
    (
        "missing-jump",
        "client",
        "node-port",
        "the jump from PREROUTING to KUBE-NODEPORT-CONTAINER is missing",
        "no rule leads from there to a proxy port",
    ),
    ("stale-mode", "node/node1", "cluster-ip", "userspace mode did not write", "no machine here"),
    (
        "dead-redirect",
        "client",
        "node-port",
        "led it to port 9, and nobody listens",
        "nobody listens at port 9",
    ),
    ("dead-dnat", "node/node1", "cluster-ip", "nobody listens there", "nobody listens at port"),
    (
        "input-drop",
        "pod/app1-1",
        "cluster-ip",
        "chain INPUT, this refused it",
        "DROP on node1 by -A INPUT",
    ),
    (
        "output-drop",
        "node/node1",
        "cluster-ip",
        "chain OUTPUT, this refused it",
        "DROP on node1 by -A OUTPUT",
    ),
    ("proxy-dead", "client", "node-port", "nobody listens there", "nobody listens at port"),
    ("proxy-hung", "client", "node-port", "does it hang?", ""),
]


@pytest.mark.parametrize(("fault", "sender", "via", "cause", "predicted"), WRONG)
def test_why_not(
    opened: lab.Lab, fault: str, sender: str, via: str, cause: str, predicted: str
) -> None:
    request = asking.Request("app1", sender=sender, via=via, node="node1")
    try:
        faults.inject(
            opened, fault, node=None if faults.FAULTS[fault].layer == "objects" else "node1"
        )
        found = opened.trace(request)
        told = opened.predict(request, why=True)
    finally:
        faults.end(opened)
    assert found.verdict is not None, repr(found)
    assert cause in found.verdict.cause
    assert not found.ok
    assert found.considered
    for way in told.ways:
        assert way.reached is not bool(predicted), repr(told)
        assert predicted in way.end


def test_as_a_command(opened: lab.Lab) -> None:
    argv = [sys.executable, "-m", "labkit.cli", "trace", "app1", "--name=t"]
    done = subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert (told["schema"], told["verdict"]) == ("labkit.dev/trace", None)
    predicted = subprocess.run([*argv, "--predict"], capture_output=True, text=True, check=False)
    assert predicted.returncode == 0, predicted
    with pytest.raises(errors.NotFound):
        opened.trace("ghost")
