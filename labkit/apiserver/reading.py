"""get and list: objects as they are stored, in the form that the client asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from labkit import errors
from labkit.apiserver import pages, status, store, tables, watching
from labkit.apiserver.call import Answer, Call, Filter, encode, wanted
from labkit.model import resources


def get(objects: store.Store, call: Call) -> Answer:
    """Raises NotFound, and ApiError 504 for a state that is not reached yet."""
    pages.require(pages.parse_revision(call.query), objects.revision)
    found = objects.get(call.kind.stored.resource, call.namespace, call.info.name)
    if found is None:
        raise status.not_found(call.kind.resource, call.info.name)
    return render(call, found)


def render(
    call: Call, stored: watching.Stored, code: int = 200, *, warnings: Sequence[str] = ()
) -> Answer:
    """One object of the store in the form that the client asked for."""
    if call.form:
        return Answer(code, encode(call.form.show(stored.object)), tuple(warnings))
    stored = call.kind.show(stored)
    shape = wanted(call).shape
    if shape == "Table":
        body = table_of(call, [stored], {"resourceVersion": str(stored.revision)})
    elif shape == "PartialObjectMetadata":
        body = encode(tables.partial(stored.object))
    else:
        body = stored.text
    return Answer(code, body, tuple(warnings))


def table_of(
    call: Call,
    objects: Iterable[watching.Stored],
    meta: resources.Object,
    *,
    headers: bool = True,
) -> bytes:
    include = call.query.get("includeObject") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise status.bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    kind = call.kind
    return tables.render_table(
        kind.columns, kind.row, objects, include=include, meta=meta, headers=headers
    )


# --- list ----------------------------------------------------------------------------------------


def list_(objects: store.Store, call: Call) -> Answer:
    """A list is spliced from the stored texts: nothing is encoded again."""
    matches = Filter(call)
    page = pages.parse_page(call.query, objects.revision)
    found = [
        stored
        for stored in _all_at(objects, call, page)
        if (stored.namespace, stored.name) > page.start and matches(stored.object)
    ]
    shown = found[: page.limit] if page.limit else found
    meta: dict[str, Any] = {"resourceVersion": str(page.revision)}
    if len(shown) < len(found):
        meta["continue"] = pages.render_token(page, (shown[-1].namespace, shown[-1].name))
        if matches.is_empty:
            meta["remainingItemCount"] = len(found) - len(shown)
    return Answer(200, _render_list(call, shown, meta))


def _all_at(objects: store.Store, call: Call, page: pages.Page) -> Iterator[watching.Stored]:
    """Raises ApiError 410 for a state that is forgotten, or that no store has ever been in."""
    if page.revision > objects.revision:
        raise pages.forgotten(page)
    try:
        found = list(objects.list(call.kind.stored.resource, call.namespace, at=page.revision))
    except errors.Gone as error:
        raise pages.forgotten(page) from error
    return map(call.kind.show, found)


def _render_list(call: Call, page: list[watching.Stored], meta: resources.Object) -> bytes:
    shape = wanted(call).shape
    if shape == "Table":
        return table_of(call, page, meta)
    kind, api_version = f"{call.kind.resource.kind}List", call.kind.resource.api_version
    texts = [stored.item for stored in page]
    if shape == "PartialObjectMetadataList":
        kind, api_version = shape, tables.API_VERSION
        texts = [encode(tables.partial(stored.object)) for stored in page]
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": meta})
    return head[:-1] + b',"items":[' + b",".join(texts) + b"]}"
