"""ConfigMaps: small texts by name."""

from __future__ import annotations

import re

from labkit.apiserver import tables, validation
from labkit.apiserver.kinds import kind
from labkit.model import resources

_KEY = "[-._a-zA-Z0-9]+"
_MAX_BYTES = 1024 * 1024
_CONTENTS = ("data", "binaryData")


def validate(obj: resources.Object, report: validation.Report) -> None:
    size = 0
    for field in _CONTENTS:
        for key, value in (obj.get(field) or {}).items():
            size += len(value)
            if not re.fullmatch(_KEY, key):
                detail = (
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
                    f"(e.g. 'key.name', or 'KEY_NAME', regex used for validation is '{_KEY}')"
                )
                report.invalid(f"{field}[{key}]", key, detail)
    for key in set(obj.get("data") or {}) & set(obj.get("binaryData") or {}):
        report.invalid(f"data[{key}]", key, f"duplicate of key present in binaryData[{key}]")
    if size > _MAX_BYTES:
        report.add("FieldValueTooLong", "", "Too long", f"may not be more than {_MAX_BYTES} bytes")


def validate_update(
    new: resources.Object, old: resources.Object, report: validation.Report
) -> None:
    if not old.get("immutable"):
        return
    for field in ("immutable", *_CONTENTS):
        if new.get(field) != old.get(field):
            report.forbidden(field, "field is immutable when `immutable` is set")


def row(obj: resources.Object, now: float) -> list[tables.Cell]:
    count = sum(len(obj.get(field) or {}) for field in _CONTENTS)
    return [tables.name_of(obj), count, tables.age_of(obj, now)]


KIND = kind.Kind(
    resources.CONFIG_MAPS,
    columns=(tables.Column("Name"), tables.Column("Data"), tables.Column("Age")),
    row=row,
    validate=validate,
    validate_update=validate_update,
    has_status=False,
)
