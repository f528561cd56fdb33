"""Our agent on a stock kube-apiserver with its etcd, in a network of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from labkit.client import config
from labkit.model import ruletext
from tests.netns import isolation
from tests.netns.test_agent import GOLDEN, NODE_IP, normalised
from tests.stock import server, test_kube_proxy

pytestmark = [pytest.mark.stock, pytest.mark.timeout(900)]

SET = GOLDEN / "02-app1-nodeport"
#: As every cluster's administrator does for its kube-proxies.
MAY_PROXY = {
    "metadata": {"name": "labkit:node-proxier"},
    "subjects": [{"kind": "Group", "name": "system:node-proxiers"}],
    "roleRef": {"kind": "ClusterRole", "name": "system:node-proxier"},
}
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def kubeconfig(stock: server.StockServer, by: str) -> str:
    ca = (stock.folder / "ca.crt").read_text()
    url = f"https://127.0.0.1:{stock.port}"
    if by == "token":
        return config.render_kubeconfig(config.ClientConfig(url, ca, "proxy"), user="proxy")
    pair = {
        "client-certificate": str(stock.folder / "ann.crt"),
        "client-key": str(stock.folder / "ann.key"),
    }
    cluster = {"server": url, "certificate-authority": str(stock.folder / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": pair}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return json.dumps(document)


@pytest.mark.parametrize("by", ["token", "certificate"])
def test_the_agent_writes_the_rules_of_kube_proxy(programs: Path, tmp_path: Path, by: str) -> None:
    expected = normalised(ruletext.parse_ruleset((SET / "userspace.rules").read_text()))

    def body() -> None:
        test_kube_proxy.make_network()
        with server.running(tmp_path, address=test_kube_proxy.SERVER_IP) as stock:
            assert stock.request("POST", BINDINGS, MAY_PROXY)[0] == 201
            node = test_kube_proxy.Node(stock, programs, "userspace")
            for obj in yaml.safe_load_all((SET / "objects.yaml").read_text()):
                node.put(obj)
            path = tmp_path / "agent.kubeconfig"
            path.write_text(kubeconfig(stock, by))
            flags = [f"--kubeconfig={path}", f"--node-ip={NODE_IP}", "--hostname-override=node1"]
            node.argv = [sys.executable, "-m", "labkit.agent", *flags]
            with node.proxying():
                node.await_rules(lambda found: normalised(found) == expected)

    isolation.run_isolated(body)
