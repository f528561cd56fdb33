"""What the server can do, told to clients that ask first: kinds, verbs, versions.

kubectl asks for the aggregated form, in which two requests tell all; older clients walk from /api
to /api/v1 and from /apis on. Both are rendered from the table of kinds.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

from labkit.apiserver import kinds, schema
from labkit.apiserver.kinds import kind as kind_module
from labkit.model import resources
from labkit.version import __version__

#: The release whose API is spoken, as far as it is spoken.
MINOR = 32
AGGREGATED = {"APIGroupDiscoveryList": ("v2", "v2beta1")}


def version() -> dict[str, str]:
    return {
        "major": "1",
        "minor": str(MINOR),
        "gitVersion": f"v1.{MINOR}.0+labkit.{__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"Python {platform.python_version()}",
        "platform": "linux/amd64",
    }


# --- the plain form ------------------------------------------------------------------------------


def api_versions(address: str) -> resources.Object:
    """The answer of /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_groups() -> resources.Object:
    """The answer of /apis."""
    names = dict.fromkeys(group for group, _ in kinds.group_versions() if group)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(n) for n in names]}


def api_group(name: str) -> resources.Object:
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for group, version in kinds.group_versions()
        if group == name
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def api_resources(group: str, version: str) -> resources.Object:
    """The answer of /api/v1 and of /apis/GROUP/VERSION."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [
            entry for kind in kinds.of_group(group, version) for entry in _plain_entries(kind)
        ],
    }


def _plain_entries(kind: kind_module.Kind) -> Iterator[resources.Object]:
    resource = kind.resource
    common = {"namespaced": resource.namespaced}
    yield {
        "name": resource.plural,
        "singularName": resource.singular,
        **common,
        "kind": resource.kind,
        "verbs": kind.verbs,
        **_optional(shortNames=resource.short_names, categories=kind.categories),
    }
    for below in kind.subresources:
        yield {
            "name": f"{resource.plural}/{below.name}",
            "singularName": "",
            **common,
            **_foreign(below, resource),
            "kind": schema.bare(below.struct),
            "verbs": below.verbs,
        }


def _foreign(below: kind_module.Subresource, resource: resources.Resource) -> dict[str, str]:
    """The group of a subresource's object, where it is not that of the kind: `scale`."""
    same = (below.group, below.version) == (resource.group, resource.version)
    return {} if same else {"group": below.group, "version": below.version}


# --- the aggregated form -------------------------------------------------------------------------


def aggregated(*, core: bool, form: str) -> resources.Object:
    """All groups with all their kinds, in one answer. `core` is /api, else /apis."""
    names = dict.fromkeys(group for group, _ in kinds.group_versions() if (group == "") == core)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{form}",
        "metadata": {},
        "items": [_aggregated_group(name) for name in names],
    }


def _aggregated_group(name: str) -> resources.Object:
    versions = [
        {
            "version": version,
            "resources": [_aggregated_entry(kind) for kind in kinds.of_group(group, version)],
            "freshness": "Current",
        }
        for group, version in kinds.group_versions()
        if group == name
    ]
    return {"metadata": {"name": name} if name else {}, "versions": versions}


def _aggregated_entry(kind: kind_module.Kind) -> resources.Object:
    resource = kind.resource
    below = [
        {
            "subresource": found.name,
            "responseKind": _gvk(found.group, found.version, schema.bare(found.struct)),
            "verbs": found.verbs,
        }
        for found in kind.subresources
    ]
    return {
        "resource": resource.plural,
        "responseKind": _gvk(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": kind.verbs,
        **_optional(
            shortNames=resource.short_names, categories=kind.categories, subresources=below
        ),
    }


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _optional(**fields: Any) -> dict[str, Any]:
    return {name: list(value) for name, value in fields.items() if value}
