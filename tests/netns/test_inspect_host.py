"""`inspect --host` on real machines, over real SSH, with kube-proxy's rules in a real kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click import testing

from labkit import lab
from labkit.cli import app, session

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

CASES = Path(__file__).parents[1] / "cases"
SETS = sorted([*CASES.glob("golden/*/*.rules"), *CASES.glob("rules/kube-proxy*.rules")])


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    """A lab; its machine `client` stands for a node of another cluster: labkit writes no rules."""
    with pytest.MonkeyPatch.context() as patch:
        from tests import conftest

        homes = conftest.home.__wrapped__(patch)  # type: ignore[attr-defined]
        next(homes)
        patch.chdir(tmp_path_factory.mktemp("h"))
        made = lab.open_lab("h", overrides={"nodes.workers": 1})
        try:
            made.up(example=False)
            yield made
        finally:
            made.down(purge=True)
            next(homes, None)


def inspect(machine: lab.Lab, *words: str) -> Any:
    """What the command says about the machine, over SSH."""
    config = machine.paths.kubeconfig.parent / "foreign-ssh"
    config.write_text(machine.ssh_config())
    where = ("--host", "client", "--ssh-config", str(config), "-o", "json")
    done = testing.CliRunner().invoke(
        app.labkit, ["inspect", *words, *where], obj=session.Session()
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def from_file(path: Path) -> Any:
    done = testing.CliRunner().invoke(
        app.labkit, ["inspect", "--file", str(path), "-o", "json"], obj=session.Session()
    )
    return json.loads(done.stdout)


def counted_out(value: Any) -> Any:
    """The same without counters, names and sockets: what a file and a live node share."""
    match value:
        case dict():
            dropped = ("packets", "bytes", "name", "listener")
            return {key: counted_out(one) for key, one in value.items() if key not in dropped}
        case list():
            return [counted_out(one) for one in value]
    return value


@pytest.mark.parametrize("path", SETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_real_kernel_holds_is_what_the_file_says(machine: lab.Lab, path: Path) -> None:
    machine.exec("client", ["iptables-restore"], stdin=path.read_text())
    before = machine.exec("client", ["iptables-save", "-c"]).stdout
    live = inspect(machine)
    after = machine.exec("client", ["iptables-save", "-c"]).stdout
    assert counted_out(live) == counted_out(from_file(path))
    rules = [line for line in before.splitlines() if "-A" in line and "KUBE" in line]
    assert {line.partition("]")[2] for line in rules} == {
        line.partition("]")[2] for line in after.splitlines() if "-A" in line and "KUBE" in line
    }


def test_the_older_set_of_rules_is_found_where_kube_proxy_is_only_there(machine: lab.Lab) -> None:
    empty = "*filter\nCOMMIT\n*nat\nCOMMIT\n"
    machine.exec("client", ["iptables-restore"], stdin=empty)
    path = CASES / "rules" / "kube-proxy-external-chains.rules"
    machine.exec("client", ["iptables-legacy-restore"], stdin=path.read_text())
    try:
        assert counted_out(inspect(machine)) == counted_out(from_file(path))
    finally:
        machine.exec("client", ["iptables-legacy-restore"], stdin=empty)


@pytest.mark.parametrize("layer", ["rules", "chains", "sockets", "connections", "node"])
def test_each_layer(machine: lab.Lab, layer: str) -> None:
    (node,) = inspect(machine, layer)["nodes"]
    assert node["trouble"] == ""
    if layer in ("sockets", "connections"):
        assert any("sshd" in (row.get("owner") or row.get("process")) for row in node["rows"])
    if layer == "node":
        assert {"fact": "hostname", "value": "client"} in node["rows"]


def test_conntrack_shows_the_rewriting(machine: lab.Lab) -> None:
    """A request of the machine to itself through a DNAT rule, as the kernel remembers it."""
    rule = "-A OUTPUT -d 10.96.9.9/32 -p tcp -j DNAT --to-destination 192.168.56.10:6443"
    rules = f"*nat\n{rule}\nCOMMIT\n"
    machine.exec("client", ["iptables-restore"], stdin=rules)
    machine.exec("client", ["sh", "-c", "curl -sk -m 5 https://10.96.9.9:6443/ >/dev/null; true"])
    (node,) = inspect(machine, "conntrack")["nodes"]
    rewritten = [row["rewritten"] for row in node["rows"] if row["openedTo"] == "10.96.9.9:6443"]
    assert rewritten
    assert rewritten[0] == "destination to 192.168.56.10:6443"


def test_a_layer_of_the_lab_in_one_round_trip_for_each_node(machine: lab.Lab) -> None:
    before = len(machine.commands)
    told = machine.inspect_layer("rules")
    names = [node.name for node in machine.spec.cluster]
    assert [node.name for node in told.nodes] == names
    assert all(node.rows for node in told.nodes)
    assert len(machine.commands) - before == len(names)
