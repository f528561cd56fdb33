"""Create, update, delete: what a write means, for every kind alike.

    create   defaults -> managers -> what the server decides -> validation -> allocation -> store
    update   the same, against the stored object; a stale resourceVersion is a conflict
    delete   at once, or first marked with a deletionTimestamp, while somebody still has to act: the
             node that runs a pod, the controller that empties a namespace, the owner of a finalizer

No HTTP here: the handlers and the controllers of this server call the same methods. None of them
awaits, so each is atomic (see `labkit.apiserver.store`).
"""

from __future__ import annotations

import copy
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from labkit.apiserver import allocation, metadata, status, store, timestamps, validation, watching
from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.ownership import entries, updating
from labkit.model import resources

#: Without vowels, so that no name says something by accident; without 0/o, 1/l, 3/e.
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_NAME_ATTEMPTS = 8

#: Turns a private copy of the stored object into the wanted one.
Modify = Callable[[resources.Object], resources.Object]


#: What becomes of the objects that a deleted one owns: they go after it, before it, or stay.
Propagation = Literal["Background", "Foreground", "Orphan"]
PROPAGATIONS: tuple[Propagation, ...] = get_args(Propagation)
#: Held back by these until the garbage collector has seen to the dependents.
FINALIZERS: Mapping[Propagation, str] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a DELETE may ask for."""

    grace_s: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    propagation: Propagation = "Background"


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object's last or latest state. Not `gone`: somebody still has to act."""

    stored: watching.Stored
    gone: bool


class Registry:
    """Every write to the store goes through here."""

    def __init__(
        self,
        objects: store.Store,
        ranges: allocation.Ranges,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = objects
        self.clock = clock
        self._allocator = allocation.Allocator(ranges)
        #: Whose writes they are, where a write does not say it.
        self.manager = entries.Manager("kube-controller-manager")

    def as_manager(self, name: str) -> Self:
        """The same registry for another writer."""
        other = copy.copy(self)
        other.manager = entries.Manager(name)
        return other

    def load(self) -> None:
        """Learn what the stored Services hold, and follow them from now on."""
        for stored in self.store.list(resources.SERVICES):
            self._allocator.observe(watching.Change("ADDED", None, stored))
        self.store.observe(resources.SERVICES, self._allocator.observe)

    def get(self, kind: kind_module.Kind, namespace: str, name: str) -> watching.Stored:
        """Raises NotFound."""
        found = self.store.get(kind.resource, namespace, name)
        if found is None:
            raise status.not_found(kind.resource, name)
        return found

    def find_pod(self, namespace: str, name: str) -> resources.Object | None:
        """What authorisation has to look at: which node a pod is on."""
        found = self.store.get(resources.PODS, namespace, name)
        return found.object if found else None

    # --- create ----------------------------------------------------------------------------------

    def create(
        self,
        kind: kind_module.Kind,
        namespace: str,
        obj: resources.Object,
        *,
        manager: entries.Manager | None = None,
        dry_run: bool = False,
    ) -> watching.Stored:
        """Store a new object, which belongs to the registry from now on."""
        metadata.begin(obj, kind, namespace, now=timestamps.render(self.clock()))
        meta = obj["metadata"]
        self._require_namespace(kind, meta)
        if meta.get("generateName") and not meta.get("name"):
            meta["name"] = self._generate_name(kind, meta)
        kind.default(obj)
        self._record(obj, None, kind, manager)
        kind.prepare_create(obj)
        report = validation.Report()
        metadata.validate(obj, kind, report)
        kind.validate(obj, report)
        self._allocate(kind, obj, None, report)
        self._raise_invalid(kind, obj, report)
        if self.store.get(kind.resource, namespace, meta["name"]):
            raise status.already_exists(kind.resource, meta["name"])
        meta["uid"] = str(uuid.uuid4())
        if kind.counts_generations:
            meta["generation"] = 1
        return self._put(kind, obj, dry_run=dry_run)

    def _generate_name(self, kind: kind_module.Kind, meta: resources.Object) -> str:
        name = ""
        for _ in range(_NAME_ATTEMPTS):
            letters = random.choices(_SUFFIX_LETTERS, k=_SUFFIX_LENGTH)  # noqa: S311
            name = meta["generateName"] + "".join(letters)
            if not self.store.get(kind.resource, meta.get("namespace", ""), name):
                break
        return name

    def _require_namespace(self, kind: kind_module.Kind, meta: resources.Object) -> None:
        """Nothing is created in a namespace that does not exist, or that is being emptied."""
        if not kind.resource.namespaced:
            return
        namespace = meta["namespace"]
        found = self.store.get(resources.NAMESPACES, "", namespace)
        if found is None:
            raise status.not_found(resources.NAMESPACES, namespace)
        if found.object["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {namespace} "
                "because it is being terminated"
            )
            raise status.forbidden(kind.resource, meta.get("name", ""), why)

    # --- update ----------------------------------------------------------------------------------

    def update(
        self,
        kind: kind_module.Kind,
        namespace: str,
        name: str,
        modify: Modify,
        *,
        subresource: str = "",
        manager: entries.Manager | None = None,
        dry_run: bool = False,
    ) -> watching.Stored:
        """Replace an object, or one subresource of it, by what `modify` makes of it."""
        current = self.get(kind, namespace, name)
        old = json.loads(current.text)
        new = modify(json.loads(current.text))
        metadata.carry_over(new, old, kind)
        kind.default(new)
        self._record(new, old, kind, manager or replace(self.manager, subresource=subresource))
        self._settle(kind, new, old, subresource)
        report = validation.Report()
        metadata.validate(new, kind, report)
        metadata.validate_update(new, old, report)
        kind.validate(new, report)
        if not subresource:
            kind.validate_update(new, old, report)
        self._allocate(kind, new, old, report)
        self._raise_invalid(kind, new, report)
        if kind.counts_generations and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if updating.is_same(new, old):
            return current
        if _may_go(kind, new) and not dry_run:
            return self._replace_and_remove(kind, new)
        return self._put(kind, new, dry_run=dry_run)

    def _settle(
        self,
        kind: kind_module.Kind,
        new: resources.Object,
        old: resources.Object,
        subresource: str,
    ) -> None:
        """A subresource changes its own part of the object, and the main resource all the rest."""
        if subresource == "binding":
            return
        if subresource in ("", "finalize"):
            if kind.has_status:
                _copy_field(new, old, "status")
            if not subresource:
                kind.prepare_update(new, old)
            return
        kept = {"metadata", "status"}
        for field in [*new, *old]:
            if field not in kept:
                _copy_field(new, old, field)

    def _replace_and_remove(self, kind: kind_module.Kind, obj: resources.Object) -> watching.Stored:
        """The last thing that held a deleted object back is gone, and so is the object."""
        return self.store.remove(kind.resource, self.store.put(kind.resource, obj))

    # --- delete ----------------------------------------------------------------------------------

    def delete(
        self, kind: kind_module.Kind, namespace: str, name: str, options: DeleteOptions
    ) -> Deleted:
        current = self.get(kind, namespace, name)
        self._check_preconditions(kind, current, options)
        if why := kind.refuse_delete(current.object):
            raise status.forbidden(kind.resource, name, why)
        grace_s = kind.grace_s(current.object, options.grace_s)
        obj = json.loads(current.text)
        if finalizer := FINALIZERS.get(options.propagation):
            metadata.add_finalizer(obj, finalizer)
        if not kind.holds(obj) and grace_s == 0:
            gone = current if options.dry_run else self.store.remove(kind.resource, current)
            return Deleted(gone, gone=True)
        marked = metadata.mark_deleted(obj, self.clock(), grace_s)
        if not marked and obj == json.loads(current.text):
            return Deleted(current, gone=False)
        kind.terminate(obj)
        if kind.counts_generations and marked:
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
        return Deleted(self._put(kind, obj, dry_run=options.dry_run), gone=False)

    def _check_preconditions(
        self, kind: kind_module.Kind, current: watching.Stored, options: DeleteOptions
    ) -> None:
        meta = current.object["metadata"]
        for field, name, wanted in (
            ("uid", "UID", options.uid),
            ("resourceVersion", "ResourceVersion", options.resource_version),
        ):
            if wanted and wanted != meta[field]:
                why = (
                    f"Precondition failed: {name} in precondition: {wanted}, "
                    f"{name} in object meta: {meta[field]}"
                )
                raise status.conflict(kind.resource, current.name, why)

    # --- shared ----------------------------------------------------------------------------------

    def _record(
        self,
        new: resources.Object,
        old: resources.Object | None,
        kind: kind_module.Kind,
        manager: entries.Manager | None,
    ) -> None:
        """Note who owns what; an apply has done so itself."""
        manager = manager or self.manager
        if manager.operation == "Update":
            updating.record(new, old, kind, manager, timestamps.render(self.clock()))

    def _allocate(
        self,
        kind: kind_module.Kind,
        new: resources.Object,
        old: resources.Object | None,
        report: validation.Report,
    ) -> None:
        """Only what is otherwise valid gets an address."""
        if kind.resource == resources.SERVICES and not report.causes:
            self._allocator.assign(new, old, report)

    def _raise_invalid(
        self, kind: kind_module.Kind, obj: resources.Object, report: validation.Report
    ) -> None:
        if report.causes:
            name = obj["metadata"].get("name", "")
            raise status.invalid(kind.resource, name, report.causes)

    def _put(
        self, kind: kind_module.Kind, obj: resources.Object, *, dry_run: bool
    ) -> watching.Stored:
        if dry_run:
            return watching.Stored(obj, json.dumps(obj).encode(), self.store.revision)
        return self.store.put(kind.resource, obj)


def _copy_field(new: resources.Object, old: resources.Object, field: str) -> None:
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


def _may_go(kind: kind_module.Kind, obj: resources.Object) -> bool:
    """True when the object is marked as deleted and nothing holds it back any more."""
    meta = obj["metadata"]
    waiting = meta.get("deletionGracePeriodSeconds", 0) > 0
    return bool(meta.get("deletionTimestamp")) and not waiting and not kind.holds(obj)
