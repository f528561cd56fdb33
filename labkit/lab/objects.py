"""Manifests and tables: apply, get and delete over the API client, as kubectl does them.

`apply` is kubectl's client-side apply: the manifest last applied is kept in an annotation, so that
a field which left the manifest leaves the object too, and a field that somebody else set stays.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import errors
from labkit.client import http
from labkit.lab import reports
from labkit.model import resources
from labkit.model.resources import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: As kubectl asks: a field that no such object has is refused, not dropped.
STRICT = {"fieldValidation": "Strict"}
SUFFIXES = (".yaml", ".yml", ".json")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True, slots=True)
class PodPlace:
    """A pod and the node it runs on."""

    namespace: str
    name: str
    node: str


def read_manifest(manifest: str | Path | Mapping[str, Any]) -> list[Object]:
    """Return the objects in a text, a file, or a folder of .yaml, .yml and .json files."""
    if isinstance(manifest, Mapping):
        return list(_unpacked(dict(manifest), "the manifest"))
    if isinstance(manifest, str):
        return parse_manifests(manifest)
    return [obj for path in _files(manifest) for obj in _read_file(path)]


def parse_manifests(text: str, *, where: str = "the manifest") -> list[Object]:
    """Read one or many YAML or JSON documents, Lists unpacked.

    Raises ConfigError that says what is wrong and on which line.
    """
    import yaml  # costs 12 ms, which a verb that only looks saves

    try:
        documents = [item for item in yaml.safe_load_all(text) if item is not None]
    except yaml.YAMLError as error:
        raise errors.ConfigError(
            f"{where} is not YAML: {' '.join(str(error).split())}",
            hint="mend it and apply it again",
        ) from error
    if not documents:
        raise errors.ConfigError(f"{where} is empty", hint="an object begins with `apiVersion:`")
    return [obj for item in documents for obj in _unpacked(item, where)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if not found:
        raise errors.NothingMatched(f"the folder {path} has no {', '.join(SUFFIXES)} file")
    return found


def _read_file(path: Path) -> list[Object]:
    try:
        return parse_manifests(path.read_text(), where=str(path))
    except OSError as error:
        raise errors.ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _unpacked(item: Any, where: str) -> Iterator[Object]:
    if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
        raise errors.ConfigError(
            f"{where} holds something that is not a Kubernetes object: {str(item)[:60]!r}",
            hint="an object begins with `apiVersion:` and `kind:`",
        )
    if item["kind"].endswith("List") and isinstance(item.get("items"), list):
        for inner in item["items"]:
            yield from _unpacked(inner, where)
    elif not isinstance(item.get("metadata"), dict) or not item["metadata"].get("name"):
        raise errors.ConfigError(
            f"{where} holds a {item['kind']} without a name", hint="give it one: `metadata.name`"
        )
    else:
        yield item


def plan_merge_patch(original: Object, wanted: Object, current: Object) -> Object:
    """Return the JSON merge patch that makes `current` what `wanted` says.

    What `original` (the manifest applied last) said and `wanted` no longer says is removed; what
    neither mentions stays. Lists are replaced whole.

    >>> plan_merge_patch({"a": 1, "b": 1}, {"a": 2}, {"a": 1, "b": 1, "c": 1})
    {'b': None, 'a': 2}
    """
    patch: Object = {key: None for key in original if key not in wanted and key in current}
    for key, value in wanted.items():
        have = current.get(key)
        if isinstance(value, dict) and isinstance(have, dict):
            before = original.get(key)
            inner = plan_merge_patch(before if isinstance(before, dict) else {}, value, have)
            if inner:
                patch[key] = inner
        elif value != have and not _is_defaulted(original.get(key), value, have):
            patch[key] = value
    return patch


def _is_defaulted(original: Any, wanted: Any, current: Any) -> bool:
    """Tell whether a list is as wanted but for what others filled in: fields, or more at its end.

    It is not when the manifest once said more than it does now: then that has to go.
    """
    if not isinstance(wanted, list) or not isinstance(current, list):
        return False
    if original is None:
        return _includes(current, wanted)
    return _includes(wanted, original) and _includes(current[: len(wanted)], wanted)


def _includes(whole: Any, part: Any) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and _includes(whole[key], part[key]) for key in part)
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(_includes, whole, part))
    return bool(whole == part)


def apply(client: http.Client, obj: Object) -> reports.Applied:
    """Create or change one object."""
    resource = resource_of(obj)
    meta = obj.get("metadata") or {}
    namespace = (meta.get("namespace") or http.DEFAULT_NAMESPACE) if resource.namespaced else ""
    manifest = _with_last_applied(obj)
    try:
        current = client.get(resource, str(meta.get("name", "")), namespace)
    except errors.NotFound:
        path = resource.path(namespace)
        created = client.request("POST", path, query=STRICT, body=manifest)
        return reports.Applied(resource, created["metadata"]["name"], "created")
    patch = _changes(manifest, current)
    if patch:
        path = resource.path(namespace, meta["name"])
        client.request("PATCH", path, query=STRICT, body=patch, content_type=http.MERGE_PATCH)
    return reports.Applied(resource, meta["name"], "configured" if patch else "unchanged")


def resource_of(obj: Mapping[str, Any]) -> resources.Resource:
    """Find where an object lives. Raises ConfigError for a kind that the lab does not have."""
    for resource in resources.RESOURCES:
        if (resource.kind, resource.api_version) == (obj["kind"], obj.get("apiVersion")):
            return resource
    known = ", ".join(resource.kind for resource in resources.RESOURCES)
    raise errors.ConfigError(
        f"no kind {obj['kind']!r} in version {obj.get('apiVersion')!r}",
        hint=f"the lab's API server knows {known}",
    )


def find_resource(word: str) -> resources.Resource:
    """Return the resource a person means. Raises NothingMatched for a word that names none."""
    if found := resources.find(word):
        return found
    known = ", ".join(resource.plural for resource in resources.RESOURCES)
    raise errors.NothingMatched(f"the lab has no resource {word!r}", hint=f"it has {known}")


def find_pod(client: http.Client, target: str, nodes: Collection[str]) -> PodPlace:
    """Find a pod by `NAME`, `pod/NAME` or `NAMESPACE/NAME`. Raises NothingMatched, Conflict."""
    namespace, _, name = target.removeprefix("pod/").rpartition("/")
    try:
        pod = client.get(resources.PODS, name, namespace or http.DEFAULT_NAMESPACE)
    except errors.NotFound as error:
        raise errors.NothingMatched(
            f"there is no node and no pod {target!r}",
            hint=f"nodes are {', '.join(nodes)}; `labkit get pods` lists the pods",
        ) from error
    node = pod["spec"].get("nodeName", "")
    if not node:
        raise errors.ProviderError(
            f"the pod {name} runs on no node yet", hint=f"`labkit kubectl -- describe pod {name}`"
        )
    return PodPlace(pod["metadata"]["namespace"], name, node)


def get(
    client: http.Client, resource: resources.Resource, name: str | None, namespace: str | None
) -> reports.ObjectTable:
    """Read one object or a collection, with the server's own table columns."""
    path = resource.path(namespace or "", name or "")
    answer = client.request("GET", path, query={"includeObject": "Object"}, accept=TABLE)
    # Priority 0 is what kubectl shows without `-o wide`.
    shown = [i for i, column in enumerate(answer["columnDefinitions"]) if not column["priority"]]
    columns = [answer["columnDefinitions"][i]["name"] for i in shown]
    objects = [_typed(row["object"], resource) for row in answer["rows"]]
    rows = [[str(row["cells"][i]) for i in shown] for row in answer["rows"]]
    if resource.namespaced and namespace is None:
        columns.insert(0, "Namespace")
        for row, obj in zip(rows, objects, strict=True):
            row.insert(0, obj["metadata"]["namespace"])
    return reports.ObjectTable(
        resource, tuple(columns), tuple(tuple(row) for row in rows), tuple(objects)
    )


def _typed(obj: Object, resource: resources.Resource) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _with_last_applied(obj: Object) -> Object:
    meta = dict(obj.get("metadata") or {})
    kept = json.dumps(obj, separators=(",", ":"), sort_keys=True)
    meta["annotations"] = {**(meta.get("annotations") or {}), LAST_APPLIED: kept}
    return {**obj, "metadata": meta}


def _changes(manifest: Object, current: Object) -> Object:
    annotations = current["metadata"].get("annotations") or {}
    original = json.loads(annotations.get(LAST_APPLIED, "{}"))
    return plan_merge_patch(original, manifest, current)
