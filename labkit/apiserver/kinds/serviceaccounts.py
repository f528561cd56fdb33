"""ServiceAccounts: who a pod is for the API server. Every namespace has a `default`."""

from __future__ import annotations

from labkit.apiserver import tables
from labkit.apiserver.kinds import kind
from labkit.model import resources

DEFAULT = "default"


def row(account: resources.Object, now: float) -> list[tables.Cell]:
    secrets = len(account.get("secrets") or [])
    return [tables.name_of(account), secrets, tables.age_of(account, now)]


KIND = kind.Kind(
    resources.SERVICE_ACCOUNTS,
    columns=(tables.Column("Name"), tables.Column("Secrets"), tables.Column("Age")),
    row=row,
    has_status=False,
    returns_deleted=True,
)
