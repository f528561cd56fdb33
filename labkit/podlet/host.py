"""The node's own affairs: its network, its Node and its lease, the routes to its neighbours.

The Node says Ready only while the node's network stands; else it says what is wrong with it. It is
told when that changes, when the API server has it otherwise (it gives up a node that was silent for
too long), and now and then, so that nobody has to wonder how old the news is.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Mapping

from labkit import errors
from labkit.client import http, watch
from labkit.model import kubelet, resources
from labkit.model.resources import Object
from labkit.podlet import announce, lease, loop, network, node, options, outbox, routes, status

log = logging.getLogger(__name__)

#: The network is tried again after this, when it could not be made.
RETRY_S = 5.0
#: As kubelet: the whole status goes again after this, if it has not gone meanwhile.
REPORT_S = 300.0
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
        self._announced: tuple[str, ...] | None = None
        self._trouble = ""
        self._status: Object = {}
        self._in_step = False

    def begin(self) -> None:
        """Make the node's network, then tell the API server that the node is there."""
        self._ensure_network()
        ours = self._render()
        # The address first: as soon as the node is registered, pods may come that need it.
        self._outbox.put("API service", self._fetch_api_service)
        self._outbox.put("registration", lambda client: node.register(client, ours))
        self._loop.at("status", self._loop.now() + REPORT_S, self._send_status)
        self._beat()

    def tell_in_step(self) -> None:
        """Say that all the API server says of this node's pods is ours; goes after all of it."""
        name = self._options.name
        self._in_step = True
        patch: Object = {"metadata": {"annotations": {resources.IN_STEP: node.began()}}}
        self._outbox.put("in step", lambda client: client.patch(resources.NODES, name, "", patch))

    def take_nodes(self, change: watch.Change) -> None:
        """Follow the nodes of the cluster: routes lead to their pods, and one of them is this."""
        was_there = self._options.name in self._nodes
        if isinstance(change, watch.Synced):
            self._nodes = {obj["metadata"]["name"]: _essence(obj) for obj in change.objects}
        elif change.type == "DELETED":
            self._nodes.pop(change.object["metadata"]["name"], None)
        else:
            self._nodes[change.object["metadata"]["name"]] = _essence(change.object)
        own = self._nodes.get(self._options.name)
        if own is not None:
            self._correct(own)
            self._ensure_announced()
        elif was_there:
            self._register_again()
        self._ensure_routes()

    def _correct(self, own: Object) -> None:
        """Contradict an API server that has this node in another state than it is in."""
        if status.readiness(own) != status.readiness({"status": self._status}):
            self._status = own["status"]  # so that our own state counts as a change from theirs
            self._send_status()

    def _register_again(self) -> None:
        """Somebody has deleted the Node, while this machine goes on."""
        ours = self._render()
        self._outbox.put("registration", lambda client: node.register(client, ours))
        self._beat()
        if self._in_step:
            self.tell_in_step()

    def _ensure_network(self) -> None:
        try:
            network.ensure_node(self._options.pod_network, self._options.address)
            trouble = ""
        except _FAILURES as error:
            trouble = f"the node's network cannot be made: {error}"
            log.warning("%s; trying again", trouble)
            self._loop.at("network", self._loop.now() + RETRY_S, self._ensure_network)
        if self._trouble != trouble:
            self._trouble = trouble
            self._send_status()

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

    def _ensure_announced(self) -> None:
        own = self._nodes.get(self._options.name, {"metadata": {}})
        wanted = kubelet.parse_announced(own["metadata"].get("annotations"))
        if wanted == self._announced:
            return
        try:
            announce.ensure(wanted, self._options.address)
            self._announced = wanted
        except _FAILURES as error:
            log.warning("the addresses of load balancers: %s; trying again", error)
            self._loop.at("announced", self._loop.now() + RETRY_S, self._ensure_announced)

    def _render(self) -> Object:
        ours = node.render(self._options, trouble=self._trouble, before=self._status)
        self._status = ours["status"]
        return ours

    def _beat(self) -> None:
        name, lease_s = self._options.name, self._options.lease_s
        self._outbox.put("lease", lambda client: lease.renew(client, name, lease_s))
        self._loop.at("lease", self._loop.now() + lease_s * lease.RENEW_AFTER, self._beat)

    def _send_status(self) -> None:
        ours = self._render()
        self._outbox.put("status", lambda client: node.send_status(client, ours))
        self._loop.at("status", self._loop.now() + REPORT_S, self._send_status)

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
    """What is needed of a Node: the rest need not be kept in memory."""
    meta, state = obj["metadata"], obj.get("status", {})
    noted = (meta.get("annotations") or {}).get(kubelet.ANNOUNCED, "")
    return {
        "metadata": {"name": meta["name"], "annotations": {kubelet.ANNOUNCED: noted}},
        "spec": {"podCIDR": obj.get("spec", {}).get("podCIDR", "")},
        "status": {each: state.get(each) or [] for each in ("addresses", "conditions")},
    }
