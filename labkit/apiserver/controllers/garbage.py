"""The garbage collector: what becomes of the objects that a deleted one owned.

    background   the owner goes at once, and what it owned goes after it
    foreground   what it owned goes first; a finalizer holds the owner until then
    orphan       what it owned stays, without an owner; a finalizer holds the owner until then

Ownership is a uid in `metadata.ownerReferences`. An object goes when all its owners are gone: a
namesake of the owner, made later, is another object and does not count.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator

from labkit.apiserver import kinds, registry, watching
from labkit.apiserver.controllers import controller
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources

_FOREGROUND, _ORPHAN = registry.FINALIZERS["Foreground"], registry.FINALIZERS["Orphan"]
_STORED = tuple(kind for kind in kinds.KINDS if not kind.view and not kind.review)

#: A kind's place in `_STORED`, namespace and name.
_Place = tuple[kind_module.Kind, str, str]


def owner_uids(obj: resources.Object) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or []}


def blocks(obj: resources.Object, uid: str) -> bool:
    """True when the owner of that uid may not go, in the foreground, before the object."""
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)


class Controller(controller.Controller):
    """Follows every kind. Its keys are (empty, uid): of an object that waits, or of an owner."""

    def __init__(self, objects: controller.Cluster) -> None:
        super().__init__(objects)
        self._places: dict[str, _Place] = {}
        #: The uids of what an owner has, by the owner's uid.
        self._dependents: dict[str, set[str]] = defaultdict(set)
        for kind in _STORED:
            for stored in objects.store.list(kind.resource):
                self._note(kind, watching.Change("ADDED", None, stored))
            objects.store.observe(kind.resource, functools.partial(self._note, kind))

    def _note(self, kind: kind_module.Kind, change: watching.Change) -> None:
        """Follow who exists and who owns whom; look at those whom the change may concern."""
        uid = change.after.object["metadata"]["uid"]
        for owner in owner_uids(change.before.object) if change.before else ():
            self._dependents[owner].discard(uid)
        if change.type == "DELETED":
            self._places.pop(uid, None)
            self._keys.update(("", dependent) for dependent in self._dependents.pop(uid, ()))
            self._keys.update(("", owner) for owner in owner_uids(change.after.object))
            return
        self._places[uid] = (kind, change.after.namespace, change.after.name)
        owners = owner_uids(change.after.object)
        for owner in owners:
            self._dependents[owner].add(uid)
        if owners or change.after.object["metadata"].get("deletionTimestamp"):
            self._keys.add(("", uid))

    def _sync(self, _: str, uid: str) -> None:
        found = self._find(uid)
        if found is None:
            return
        kind, stored = found
        finalizers = stored.object["metadata"].get("finalizers") or []
        ending = bool(stored.object["metadata"].get("deletionTimestamp"))
        if ending and _ORPHAN in finalizers:
            self._orphan(uid)
            self._release(kind, stored, _ORPHAN)
        elif ending and _FOREGROUND in finalizers:
            self._delete_dependents(uid)
            if not any(blocks(held.object, uid) for _, held in self._held_by(uid)):
                self._release(kind, stored, _FOREGROUND)
        elif not ending and self._is_garbage(stored.object):
            self._delete(kind, stored, "Background")

    def _find(self, uid: str) -> tuple[kind_module.Kind, watching.Stored] | None:
        if uid not in self._places:
            return None
        kind, namespace, name = self._places[uid]
        stored = self._objects.store.get(kind.resource, namespace, name)
        return (kind, stored) if stored else None

    def _held_by(self, uid: str) -> Iterator[tuple[kind_module.Kind, watching.Stored]]:
        for dependent in sorted(self._dependents.get(uid, ())):
            if found := self._find(dependent):
                yield found

    def _is_garbage(self, obj: resources.Object) -> bool:
        owners = owner_uids(obj)
        return bool(owners) and not any(owner in self._places for owner in owners)

    def _orphan(self, uid: str) -> None:
        for kind, stored in list(self._held_by(uid)):

            def disown(old: resources.Object) -> resources.Object:
                owners = old["metadata"]["ownerReferences"]
                old["metadata"]["ownerReferences"] = [o for o in owners if o["uid"] != uid]
                return old

            self._objects.update(kind, stored.namespace, stored.name, disown)

    def _delete_dependents(self, uid: str) -> None:
        """Those that belong to nobody else: what they own in turn goes before them."""
        for kind, stored in list(self._held_by(uid)):
            alone = owner_uids(stored.object) == {uid}
            if alone and not stored.object["metadata"].get("deletionTimestamp"):
                self._delete(kind, stored, "Foreground")

    def _delete(
        self, kind: kind_module.Kind, stored: watching.Stored, how: registry.Propagation
    ) -> None:
        options = registry.DeleteOptions(uid=stored.object["metadata"]["uid"], propagation=how)
        self._objects.delete(kind, stored.namespace, stored.name, options)

    def _release(self, kind: kind_module.Kind, stored: watching.Stored, finalizer: str) -> None:
        def release(old: resources.Object) -> resources.Object:
            kept = [name for name in old["metadata"]["finalizers"] if name != finalizer]
            old["metadata"]["finalizers"] = kept
            return old

        self._objects.update(kind, stored.namespace, stored.name, release)
