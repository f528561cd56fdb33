"""The lab's API server as seen from the learner's machine: a client, and waiting by watching."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from labkit import errors
from labkit.client import config as client_config
from labkit.client import http, watch
from labkit.model import resources
from labkit.model.resources import Object, Resource

#: Says what an object still lacks; nothing when it is as awaited. None stands for no object.
Lacks = Callable[[Object | None], str]


@dataclass(frozen=True, slots=True)
class Api:
    """How to reach the API server. `client` is kept open for as long as the lab object lives."""

    config: client_config.ClientConfig
    dial: http.Dial
    client: http.Client

    def close(self) -> None:
        self.client.close()

    def wait_for(
        self,
        resource: Resource,
        names: Iterable[str],
        lacks: Lacks,
        *,
        namespace: str = "",
        timeout_s: float,
    ) -> None:
        """Return when no object of `names` lacks anything. Raises TimedOut, saying what is lacking.

        Lists once and then watches: the answer comes with the change itself.
        """
        deadline = time.monotonic() + timeout_s
        wanted = set(names)
        listed = self.client.list(resource, namespace)
        seen = {obj["metadata"]["name"]: obj for obj in listed["items"]}
        version = listed["metadata"]["resourceVersion"]
        while missing := _missing(wanted, seen, lacks):
            left = deadline - time.monotonic()
            if left <= 0:
                raise errors.TimedOut(_explain(resource, missing, timeout_s))
            for event in self._changes(resource, namespace, version, left):
                version = event.object["metadata"]["resourceVersion"]
                _take(event, seen)
                if not _missing(wanted, seen, lacks):
                    return

    def _changes(
        self, resource: Resource, namespace: str, version: str, timeout_s: float
    ) -> Iterable[watch.WatchEvent]:
        return watch.watch(
            self.config,
            resource,
            namespace=namespace,
            resource_version=version,
            timeout_s=timeout_s,
            dial=self.dial,
        )


def connect(config: client_config.ClientConfig, dial: http.Dial) -> Api:
    return Api(config, dial, http.Client(config, dial=dial))


def lacks_readiness(obj: Object | None) -> str:
    """Say why a pod or a node is not Ready yet, in the API's own words."""
    if obj is None:
        return "does not exist"
    conditions = obj.get("status", {}).get("conditions", [])
    ready = next((each for each in conditions if each["type"] == "Ready"), None)
    if ready and ready["status"] == "True":
        return ""
    return _waiting_reason(obj) or (ready or {}).get("message") or "is not Ready"


def lacks_podlet(began: Mapping[str, str]) -> Lacks:
    """Say of a node what it lacks, and that its podlet has not taken stock yet, if so.

    `began` says when the podlet of each node did (`BOOT/TICKS`). It may die and another one follow;
    but what was said before, in a machine's last life for one, does not count.
    """

    def lacks(node: Object | None) -> str:
        if node is None:
            return "does not exist"
        meta = node["metadata"]
        told = meta.get("annotations", {}).get(resources.IN_STEP, "")
        if not _is_since(began[meta["name"]], told):
            return "its podlet has not taken stock of its pods"
        return lacks_readiness(node)

    return lacks


def _is_since(began: str, told: str) -> bool:
    boot, _, ticks = began.partition("/")
    told_boot, _, told_ticks = told.partition("/")
    return told_boot == boot and int(told_ticks) >= int(ticks)


def lacks_existence(obj: Object | None) -> str:
    return "does not exist" if obj is None else ""


def lacks_nothing_but_absence(obj: Object | None) -> str:
    return "" if obj is None else "still exists"


def _waiting_reason(obj: Object) -> str:
    for container in obj.get("status", {}).get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return f"{waiting.get('reason', 'waiting')}: {waiting.get('message', '')}".rstrip(": ")
    for condition in obj.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", "not scheduled"))
    return ""


def _take(event: watch.WatchEvent, seen: dict[str, Object]) -> None:
    name = event.object["metadata"].get("name", "")
    if event.type == "DELETED":
        seen.pop(name, None)
    elif event.type != "BOOKMARK":
        seen[name] = event.object


def _missing(wanted: set[str], seen: dict[str, Object], lacks: Lacks) -> dict[str, str]:
    found = {name: lacks(seen.get(name)) for name in wanted}
    return {name: why for name, why in found.items() if why}


def _explain(resource: resources.Resource, missing: dict[str, str], timeout_s: float) -> str:
    each = "; ".join(f"{resource.singular} {name}: {why}" for name, why in sorted(missing.items()))
    return f"waited {timeout_s:.0f} s in vain for {each}"
