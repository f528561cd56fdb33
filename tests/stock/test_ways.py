"""A lab whose nodes run the stock kube-proxy instead of our agent: the five ways in."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest

from labkit import lab
from labkit.deploy import install, pki, services
from labkit.inspection import collect, probing
from labkit.model import example, ruletext
from tests.netns.test_up import eventually
from tests.stock import proxy

pytestmark = [pytest.mark.stock, pytest.mark.lab, pytest.mark.timeout(900)]

#: A rule for app1 that only the stock kube-proxy has written, by mode.
MARKS = {"userspace": "KUBE-NODEPORT-NON-LOCAL", "iptables": "KUBE-SVC-4QFXEAV27BCWXK5E"}
#: A machine's own copies: what this one has in its folders, no node sees.
PROGRAM = f"{services.BIN}/stock-kube-proxy"
LAUNCHER = f"{services.BIN}/unlimited.py"


def run_stock_proxy(opened: lab.Lab, programs: Path, mode: proxy.Mode) -> None:
    """Put it in the place of our agent on every node, with the agent's kubeconfig."""
    secrets = pki.load_pki(opened.paths.pki)
    files = {
        PROGRAM: services.File((programs / "kube-proxy").read_bytes(), 0o755),
        LAUNCHER: services.File(proxy.LAUNCHER.read_bytes()),
    }

    def instead(unit: services.Unit, node: str) -> services.Unit:
        if unit.name != "kube-proxy":
            return unit
        [kubeconfig] = [path for path in unit.files if path.endswith(".kubeconfig")]
        flags = proxy.flags(mode, kubeconfig, node)
        argv = (*services.PYTHON, LAUNCHER, PROGRAM, *flags)
        return dataclasses.replace(unit, argv=argv, files={**unit.files, **files})

    plan = services.plan_services(opened.spec, secrets)
    wanted = {node: tuple(instead(unit, node) for unit in units) for node, units in plan.items()}
    install.ensure_services(opened.pool, wanted)


@pytest.mark.parametrize("mode", ["userspace", "iptables"])
def test_the_five_ways_in_answer(opened: lab.Lab, programs: Path, mode: proxy.Mode) -> None:
    opened.up()
    run_stock_proxy(opened, programs, mode)
    nodes = [node.name for node in opened.spec.cluster]
    for node in nodes:
        eventually(functools.partial(_has_written, opened, node, mode))
    found = collect.read_objects(opened.api.client, example.NAME, "default")
    report = probing.send_ways(opened.pool, opened.spec, found.service, found.pods)
    assert [proof.pod[:5] for proof in report.proofs] == ["app1-"] * 5, repr(report)
    if mode == "userspace":
        assert report.ok, repr(report)
    for node in nodes:
        assert proxy.complaints(opened.logs(f"{node}/kube-proxy")) == []


def _has_written(opened: lab.Lab, node: str, mode: proxy.Mode) -> bool:
    found = ruletext.parse_ruleset(opened.exec(node, ["iptables-save"]).stdout)
    text = ruletext.render_ruleset(found)
    return f"{MARKS[mode]} " in text and "default/app1" in text
