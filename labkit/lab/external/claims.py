"""What the lab makes on somebody else's API server, and takes away again.

Everything is made with the label `labkit.dev/lab`, and only what has this lab's is ever touched. A
Node is created by the lab, not by its podlet: of two labs that want the same name the server lets
one have it, and the other is told before anything of it runs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from labkit import errors
from labkit.client import http
from labkit.deploy import services
from labkit.lab.external import checks
from labkit.model import example, resources, spec
from labkit.model.resources import Object, Resource

_RBAC = "rbac.authorization.k8s.io"
BINDINGS = Resource("ClusterRoleBinding", "clusterrolebindings", _RBAC, namespaced=False)
#: What the nodes log in with.
ACCESS = (BINDINGS, resources.SERVICE_ACCOUNTS)
#: In this order all is taken away: nobody is left to miss what goes before it.
KINDS = (resources.SERVICES, resources.PODS, resources.NODES, *ACCESS)


def plan_node(node: spec.NodeSpec, external: services.External) -> Object:
    """The Node object, before its podlet has said anything of it."""
    network = str(node.pod_network)
    labels = {"kubernetes.io/hostname": node.name, **services.plan_labels(node, external)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {
            "podCIDR": network,
            "podCIDRs": [network],
            "taints": services.plan_taints(node, external),
        },
    }


def plan_example(mark: str) -> tuple[Object, ...]:
    """The example, marked, and its pods only on nodes of the lab: no others have their image."""
    return tuple(_mark(copy.deepcopy(obj), mark) for obj in example.objects())


def _mark(obj: Object, mark: str) -> Object:
    obj["metadata"]["labels"][resources.LAB] = mark
    if obj["kind"] == "Pod":
        ours = {"key": resources.LAB, "operator": "Equal", "value": mark, "effect": "NoSchedule"}
        obj["spec"] |= {
            "nodeSelector": {resources.LAB: mark},
            "tolerations": [ours],
            # The echo asks the API server nothing; and not every server makes tokens.
            "automountServiceAccountToken": False,
        }
    return obj


def claim_nodes(client: http.Client, lab: spec.LabSpec, external: services.External) -> list[str]:
    """Create the lab's nodes; return what was done. Raises Conflict for a name that is taken."""
    done = []
    for node in lab.cluster:
        wanted = plan_node(node, external)
        try:
            client.create(resources.NODES, wanted)
            done.append(f"registered {node.name}")
        except errors.Conflict:
            found = client.get(resources.NODES, node.name)
            if checks.mark_of(found) != external.mark:
                raise
    return done


def find_example(client: http.Client, mark: str) -> Iterator[Object]:
    """What there is already by the names of the example's objects."""
    for obj in plan_example(mark):
        resource = next(each for each in resources.RESOURCES if each.kind == obj["kind"])
        try:
            found = client.get(resource, obj["metadata"]["name"], obj["metadata"]["namespace"])
        except errors.NotFound:
            continue
        yield {**found, "kind": obj["kind"]}


def retire_nodes(client: http.Client, lab: spec.LabSpec, mark: str) -> list[str]:
    """Take away nodes of this lab that it has no more."""
    wanted = {node.name for node in lab.cluster}
    listed = client.list(resources.NODES, label_selector=f"{resources.LAB}={mark}")["items"]
    gone = [obj["metadata"]["name"] for obj in listed if obj["metadata"]["name"] not in wanted]
    for name in gone:
        client.delete(resources.NODES, name)
    return [f"removed {name}" for name in gone]


def remove(
    client: http.Client, mark: str, kinds: Sequence[resources.Resource] = KINDS
) -> list[str]:
    """Delete everything that has this lab's mark, and nothing else; return what it was."""
    removed = []
    for resource in kinds:
        try:
            listed = client.list(resource, label_selector=f"{resources.LAB}={mark}")["items"]
        except errors.NotFound:
            continue  # this server has no such kind
        for meta in (obj["metadata"] for obj in listed):
            try:
                grace_s = 0 if resource == resources.PODS else None  # nobody runs them any more
                namespace = meta.get("namespace", "")
                client.delete(resource, meta["name"], namespace, grace_s=grace_s, uid=meta["uid"])
            except (errors.NotFound, errors.Conflict):
                continue
            removed.append(f"{resource.singular}/{meta['name']}")
    return removed
