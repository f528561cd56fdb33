"""The example that the lab teaches: the Service `app1` and three pods behind it."""

from __future__ import annotations

from labkit.model import resources

NAME = "app1"
PORT = 8080
NODE_PORT = 30062

SERVICE: resources.Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": NAME, "namespace": "default", "labels": {"name": NAME}},
    "spec": {
        "type": "NodePort",
        "ports": [{"port": PORT, "targetPort": PORT, "nodePort": NODE_PORT}],
        "selector": {"name": NAME},
    },
}


def pod(number: int) -> resources.Object:
    """One of the pods that the Service selects by their label."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{NAME}-{number}",
            "namespace": "default",
            "labels": {"name": NAME},
        },
        "spec": {
            "containers": [
                {"name": "echo", "image": "labkit/echo", "ports": [{"containerPort": PORT}]}
            ]
        },
    }


def objects() -> tuple[resources.Object, ...]:
    """The Service first: its rules are in place before the first pod answers."""
    return (SERVICE, *(pod(number) for number in (1, 2, 3)))
