"""The heartbeat: a Lease in kube-node-lease that this node renews while it lives.

A Node is large and everybody watches it. So the sign of life is a small object of its own, with the
node's name and the moment of the last renewal; whoever wants to know whether the node lives looks
when that last changed. It belongs to the Node, and goes when the Node is deleted.
"""

from __future__ import annotations

import time

from labkit import errors
from labkit.client import http
from labkit.model import resources
from labkit.model.resources import Object

NAMESPACE = "kube-node-lease"
#: A lease is renewed when this part of it has passed: three renewals may be lost.
RENEW_AFTER = 0.25


def render(node: Object, duration_s: int, now: float) -> Object:
    """The whole Lease of a Node."""
    meta = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": resources.LEASES.api_version,
        "kind": resources.LEASES.kind,
        "metadata": {"name": meta["name"], "namespace": NAMESPACE, "ownerReferences": [owner]},
        "spec": {"holderIdentity": meta["name"], "leaseDurationSeconds": duration_s}
        | render_renewal(now),
    }


def render_renewal(now: float) -> Object:
    """What a renewal changes.

    >>> render_renewal(0.25)
    {'renewTime': '1970-01-01T00:00:00.250000Z'}
    """
    whole, fraction = divmod(now, 1)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return {"renewTime": f"{moment}.{int(fraction * 1e6):06d}Z"}


def renew(client: http.Client, name: str, duration_s: int) -> None:
    """Renew the lease; make it where there is none. Raises NotFound while there is no Node."""
    now = time.time()
    try:
        client.patch(resources.LEASES, name, NAMESPACE, {"spec": render_renewal(now)})
    except errors.NotFound:
        node = client.get(resources.NODES, name)
        client.create(resources.LEASES, render(node, duration_s, now))
