"""Pods as the tests of the podlet use them."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from labkit.model.resources import Object
from labkit.podlet import state

NOW = 1_000_000.0
UID = "a4a5f8d6-793f-478c-bc57-9322ffcc18ee"


def wanted(*containers: dict[str, Any], **spec: Any) -> Object:
    """A pod as the API server has it; one echo if nothing else is said."""
    listed = [{"name": "main", "image": "labkit/echo"} | each for each in containers or ({},)]
    return {
        "metadata": {"name": "app1", "namespace": "default", "uid": UID, "labels": {"a": "b"}},
        "spec": {"containers": listed} | spec,
        "status": {},
    }


def deleted(obj: Object, grace_s: int) -> Object:
    mark = {"deletionTimestamp": "x", "deletionGracePeriodSeconds": grace_s}
    return obj | {"metadata": obj["metadata"] | mark}


def run(**fields: Any) -> state.Run:
    defaults: dict[str, Any] = {
        "id": "f" * 64,
        "image": "labkit/echo",
        "pid": 77,
        "ticks": 5,
        "started": NOW - 60,
    }
    return state.Run(**(defaults | fields))


def running(**fields: Any) -> state.Container:
    defaults: dict[str, Any] = {"run": run(), "ready": True}
    return state.Container("main", **(defaults | fields))


def ended(code: int, **fields: Any) -> state.Container:
    return state.Container("main", run=run(finished=NOW - 1, exit_code=code), **fields)


def pod(*containers: state.Container, **fields: Any) -> state.Pod:
    address = IPv4Address("10.244.1.2")
    defaults: dict[str, Any] = {"address": address, "last_address": address}
    return state.Pod(
        uid=UID,
        namespace="default",
        name="app1",
        created=NOW - 100,
        containers=containers or (state.Container("main"),),
        **(defaults | fields),
    )
