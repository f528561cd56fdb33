"""Server-side apply: what a manifest does to an object, and to who owns its fields.

1  merge the manifest into the object; its manager owns what it names
2  take out what this manager applied before and now leaves out, unless somebody else owns it
3  look what has changed: where that is another manager's it is a conflict, unless forced
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labkit.apiserver import decode
from labkit.apiserver.kinds import kind as kind_module
from labkit.apiserver.ownership import contents, entries, fields, merging, updating
from labkit.apiserver.ownership.fields import Fields
from labkit.model import resources

#: By this name kubectl applies; the server helps it over from its older, client-side apply.
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Owns everything in an object whose managers nobody had noted before.
_BEFORE = "before-first-apply"


class ManifestError(Exception):
    """The manifest cannot be merged; the text says where and why."""


class ConflictsError(Exception):
    """The apply would change fields of other managers: these fields, by their managers."""

    def __init__(self, fields_by_manager: Mapping[entries.Manager, Fields]) -> None:
        super().__init__(fields_by_manager)
        self.by_manager = fields_by_manager

    @property
    def paths(self) -> Sequence[tuple[entries.Manager, str]]:
        """Each conflict, by manager and path."""
        managers = sorted(self.by_manager, key=str)
        return [(m, path) for m in managers for path in fields.paths(self.by_manager[m])]


@dataclass(frozen=True, slots=True)
class Apply:
    """One manifest, with known fields only, and who applies it."""

    manifest: resources.Object
    kind: kind_module.Kind
    name: str
    subresource: str = ""
    force: bool = False

    @property
    def manager(self) -> entries.Manager:
        api_version = self.kind.resource.api_version
        return entries.Manager(self.name, "Apply", self.subresource, api_version)


def apply(live: resources.Object | None, wanted: Apply, now: str) -> resources.Object:
    """The object that comes of it. Raises ManifestError, ConflictsError.

    Nothing is applied yet: give the manifest itself its managers.
    """
    for problem in merging.check(wanted.manifest, wanted.kind.struct):
        raise ManifestError(problem)
    known = _read(live, wanted, now) if live else {}
    try:
        result = _apply(live or {}, known, wanted, now)
    except ConflictsError as conflicts:
        if not _kubectl_applied_before(live or {}, conflicts, wanted):
            raise
        result = _apply(live or {}, known, replace(wanted, force=True), now)
    if wanted.name == KUBECTL:
        _renew_last_applied(result, wanted.manifest)
    return result


def _read(live: resources.Object, wanted: Apply, now: str) -> entries.Entries:
    if managed := live["metadata"].get("managedFields"):
        return entries.read(managed)
    before = replace(wanted.manager, name=_BEFORE, operation="Update")
    existing = contents.compare({}, live, wanted.kind.struct)
    updating.leave_out(existing, wanted.kind, wanted.subresource)
    return updating.take({}, before, existing, now)


def _apply(
    live: resources.Object, known: entries.Entries, wanted: Apply, now: str
) -> resources.Object:
    struct, me = wanted.kind.struct, wanted.manager
    last = known.get(me.identity)
    owned = updating.applied(wanted.manifest, wanted.kind, wanted.subresource)
    known = {**known, me.identity: entries.Entry(me, owned, last.time if last else "")}
    merged = merging.merge(live, wanted.manifest, struct)
    if last:
        # The metadata itself stays: the name in it is nobody's.
        owned_now = fields.union(entries.everything(known), {updating.METADATA: fields.LEAF})
        anybodys = contents.with_containers(owned_now, struct)
        gone = fields.difference(contents.with_containers(last.fields, struct), anybodys)
        merged = merging.remove(merged, gone, struct)
    found = contents.compare(live, merged, struct)
    updating.leave_out(found, wanted.kind, wanted.subresource)
    others = {key: entry for key, entry in known.items() if key != me.identity}
    others = _give_way(others, found, force=wanted.force)
    settled = {**others, me.identity: entries.Entry(me, owned, now)}
    merged["metadata"] = {**merged["metadata"]}
    updating.settle(merged, settled)
    return merged


def _give_way(
    others: entries.Entries, found: contents.Differences, *, force: bool
) -> entries.Entries:
    """The other managers without what they lose. Raises ConflictsError."""
    changed = found.changed()
    conflicts = {
        entry.manager: lost
        for entry in others.values()
        if (lost := fields.intersection(entry.fields, changed))
    }
    if conflicts and not force:
        raise ConflictsError(conflicts)
    return entries.without(others, fields.union(changed, found.removed))


# --- kubectl's client-side apply -----------------------------------------------------------------


def _kubectl_applied_before(
    live: resources.Object, conflicts: ConflictsError, wanted: Apply
) -> bool:
    """True when all that is in the way was put there by kubectl's own client-side apply.

    It kept its last manifest in an annotation; what there is unchanged of that, is kubectl's.
    """
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    if wanted.name != KUBECTL or not text:
        return False
    try:
        last = decode.decode(json.loads(text), wanted.kind.struct).object
    except (ValueError, decode.DecodeError):
        return False
    struct = wanted.kind.struct
    found = contents.compare(last, live, struct)
    unlike = fields.union(found.changed(), found.removed)
    kubectls = fields.difference(contents.named(last, struct), unlike)
    return not any(fields.difference(lost, kubectls) for lost in conflicts.by_manager.values())


def _renew_last_applied(obj: resources.Object, manifest: resources.Object) -> None:
    """Keep the annotation in step, for those who apply client-side again later."""
    annotations = obj["metadata"].get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    meta = dict(manifest.get("metadata") or {})
    rest = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    meta["annotations"] = rest
    text = json.dumps(
        {**manifest, "metadata": meta}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    obj["metadata"]["annotations"] = {**annotations, LAST_APPLIED: text + "\n"}
