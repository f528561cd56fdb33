"""The garbage collector beside somebody else's API server: it asks before it deletes.

The picture has only the kinds that labkit knows, and each kind in it is as new as its own watch. An
owner that it does not show may well be there: a Job, or a ReplicaSet of which the watch has not yet
told. So an object is garbage only when the server itself says that each of its owners is gone.
"""

from __future__ import annotations

from labkit.apiserver import kinds
from labkit.apiserver.controllers import garbage
from labkit.apiserver.remote import cluster
from labkit.model import resources

_KNOWN = {
    (kind.resource.api_version, kind.resource.kind): kind.resource
    for kind in kinds.KINDS
    if not kind.view and not kind.review
}


class Controller(garbage.Controller):
    """Deletes what nobody owns any more."""

    def __init__(self, objects: cluster.RemoteCluster) -> None:
        super().__init__(objects)
        self._remote = objects

    def _is_garbage(self, obj: resources.Object) -> bool:
        if not super()._is_garbage(obj):
            return False
        namespace = obj["metadata"].get("namespace", "")
        owners = obj["metadata"]["ownerReferences"]
        return not any(self._lives(owner, namespace) for owner in owners)

    def _lives(self, owner: resources.Object, namespace: str) -> bool:
        """A kind that labkit does not know has owners that it does not judge."""
        resource = _KNOWN.get((owner["apiVersion"], owner["kind"]))
        if resource is None:
            return True
        where = namespace if resource.namespaced else ""
        return self._remote.exists(resource, where, owner["name"], owner["uid"])
