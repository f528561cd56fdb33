"""The node's own affairs: its network, its Node object and heartbeat, the routes to its neighbours.

The heartbeat says Ready only while the node's network stands; else it says what is wrong with it.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Mapping

from labkit import errors
from labkit.client import http, watch
from labkit.model import resources
from labkit.model.resources import Object
from labkit.podlet import loop, network, node, options, outbox, routes

log = logging.getLogger(__name__)

#: The network is tried again after this, when it could not be made.
RETRY_S = 5.0
_FAILURES = (errors.LabkitError, OSError, subprocess.SubprocessError)


class Host:
    """Runs on the loop's thread, apart from the letters, which the outbox sends."""

    def __init__(
        self,
        given: options.Options,
        on: loop.Loop,
        out: outbox.Outbox,
        take_api_service: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._options = given
        self._loop = on
        self._outbox = out
        self._take_api_service = take_api_service
        self._nodes: dict[str, Object] = {}
        self._routes: dict[str, str] | None = None
        self._trouble = ""
        self._status: Object = {}

    def begin(self) -> None:
        """Make the node's network, then tell the API server that the node is there."""
        self._ensure_network()
        ours = self._render()
        # The address first: as soon as the node is registered, pods may come that need it.
        self._outbox.put("API service", self._fetch_api_service)
        self._outbox.put("registration", lambda client: node.register(client, ours))
        self._schedule_heartbeat()

    def tell_in_step(self) -> None:
        """Say that all the API server says of this node's pods is ours; goes after all of it."""
        name = self._options.name
        patch: Object = {"metadata": {"annotations": {resources.IN_STEP: node.process()}}}
        self._outbox.put("in step", lambda client: client.patch(resources.NODES, name, "", patch))

    def take_nodes(self, change: watch.Change) -> None:
        """Follow the nodes of the cluster with routes to their pods."""
        if isinstance(change, watch.Synced):
            self._nodes = {obj["metadata"]["name"]: _essence(obj) for obj in change.objects}
        elif change.type == "DELETED":
            self._nodes.pop(change.object["metadata"]["name"], None)
        else:
            self._nodes[change.object["metadata"]["name"]] = _essence(change.object)
        self._ensure_routes()

    def _ensure_network(self) -> None:
        try:
            network.ensure_node(self._options.pod_network)
            trouble = ""
        except _FAILURES as error:
            trouble = f"the node's network cannot be made: {error}"
            log.warning("%s; trying again", trouble)
            self._loop.at("network", self._loop.now() + RETRY_S, self._ensure_network)
        if self._trouble != trouble:
            self._trouble = trouble
            self._send_heartbeat()

    def _ensure_routes(self) -> None:
        wanted = routes.plan_wanted(self._nodes.values(), self._options.name)
        if wanted == self._routes:
            return
        try:
            routes.ensure(wanted)
            self._routes = wanted
        except _FAILURES as error:
            log.warning("routes to other nodes' pods: %s; trying again", error)
            self._loop.at("routes", self._loop.now() + RETRY_S, self._ensure_routes)

    def _render(self) -> Object:
        ours = node.render(self._options, trouble=self._trouble, before=self._status)
        self._status = ours["status"]
        return ours

    def _schedule_heartbeat(self) -> None:
        self._loop.at("heartbeat", self._loop.now() + self._options.heartbeat_s, self._beat)

    def _beat(self) -> None:
        self._send_heartbeat()
        self._schedule_heartbeat()

    def _send_heartbeat(self) -> None:
        ours = self._render()
        self._outbox.put("heartbeat", lambda client: node.send_status(client, ours))

    def _fetch_api_service(self, client: http.Client) -> None:
        """Ask where pods find the API server; runs on the outbox's thread."""
        try:
            spec = client.get(resources.SERVICES, "kubernetes", "default")["spec"]
        except errors.NotFound:
            env = {}
        else:
            env = {
                "KUBERNETES_SERVICE_HOST": str(spec["clusterIP"]),
                "KUBERNETES_SERVICE_PORT": str(spec["ports"][0]["port"]),
            }
        self._loop.post(lambda: self._take_api_service(env))


def _essence(obj: Object) -> Object:
    """What the routes need of a Node: the rest need not be kept in memory."""
    addresses = obj.get("status", {}).get("addresses") or []
    return {
        "metadata": {"name": obj["metadata"]["name"]},
        "spec": {"podCIDR": obj.get("spec", {}).get("podCIDR", "")},
        "status": {"addresses": addresses},
    }
