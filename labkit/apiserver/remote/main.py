"""The program: `controllers.pyz kube-scheduler --kubeconfig=... --identity=control`.

    kube-controller-manager   endpoints, slices, ReplicaSets, Deployments, nodes, namespaces, ...
    kube-scheduler            a node for each pod

Two programs, as in Kubernetes, and by the same names: each waits for the Lease of its name, so that
ours and others never act at once. One thread renews the lease; one for each kind watches; all that
they hear goes to the event loop, where the controllers run. Who loses the lease ends at once, in
the middle of whatever it does: the supervisor starts it again, and it waits anew.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from labkit import errors
from labkit.apiserver import kinds
from labkit.apiserver.controllers import (
    deployments,
    endpoints,
    endpointslices,
    eviction,
    load_balancers,
    loops,
    nodes,
    orphans,
    replicasets,
    root_ca,
    scheduler,
    serviceaccounts,
)
from labkit.apiserver.remote import cluster, collector, dialects, election, emptying, following
from labkit.client import config as client_config
from labkit.client import http
from labkit.model import pool, resources

log = logging.getLogger(__name__)

SCHEDULER = "kube-scheduler"
MANAGER = "kube-controller-manager"
#: Where nobody makes tokens, a pod that wants one would be refused.
NO_TOKEN = {"automountServiceAccountToken": False}


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Kubernetes' controllers, as clients of an API server.", allow_abbrev=False
    )
    add = parser.add_argument
    add("component", choices=(MANAGER, SCHEDULER), help="what to be")
    add("--kubeconfig", required=True, help="where the API server is, and who we are; in JSON")
    add("--identity", default=os.uname().nodename, help="our name in the lease [%(default)s]")
    add(
        "--load-balancer-ip-range",
        type=pool.parse_pool,
        metavar="FIRST-LAST",
        help="addresses for Services of type LoadBalancer; none: they wait for somebody else",
    )
    add("-v", "--v", type=int, default=0, metavar="LEVEL", help="2 and more: log in detail")
    return parser.parse_args(argv)


def followed(component: str) -> tuple[resources.Resource, ...]:
    """The kinds whose objects a component has to know. Events are many, and only written."""
    if component == SCHEDULER:
        return (resources.PODS, resources.NODES)
    stored = (kind.resource for kind in kinds.KINDS if not kind.view and not kind.review)
    return tuple(resource for resource in stored if resource != resources.EVENTS)


def make_controllers(
    component: str,
    objects: cluster.RemoteCluster,
    client: http.Client,
    *,
    slices: bool,
    root_ca_pem: str = "",
    addresses: pool.Pool | None = None,
) -> list[loops.Controller]:
    """They look at what there is as soon as they are made: the picture has to be whole by then."""
    if component == SCHEDULER:
        return [scheduler.Controller(objects)]
    made: list[loops.Controller] = [
        endpoints.Controller(objects),
        nodes.Controller(objects),
        eviction.Controller(objects),
        orphans.Controller(objects),
        emptying.Controller(objects, client),
        serviceaccounts.Controller(objects, NO_TOKEN),
        deployments.Controller(objects),
        replicasets.Controller(objects),
        collector.Controller(objects),
    ]
    if slices:
        made.append(endpointslices.Controller(objects))
    if root_ca_pem:
        made.append(root_ca.Controller(objects, root_ca_pem))
    if addresses:
        made.append(load_balancers.Controller(objects, addresses))
    return made


class Program:
    """One component, from the lease to the end."""

    def __init__(self, args: argparse.Namespace, config: client_config.ClientConfig) -> None:
        self._component: str = args.component
        self._addresses: pool.Pool | None = args.load_balancer_ip_range
        self._config = config
        self._candidate = election.Election(http.Client(config), args.component, args.identity)
        self._ending = threading.Event()

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        if not self._candidate.win():
            return 0
        keeper = threading.Thread(target=self._keep, daemon=True)
        keeper.start()
        asyncio.run(self._act())
        self._candidate.leave()
        keeper.join()
        self._candidate.release()
        return 0

    def _end(self) -> None:
        self._ending.set()
        self._candidate.leave()

    def _keep(self) -> None:
        """Somebody else may act from now on: nothing that was begun may be finished."""
        self._candidate.keep()
        if not self._ending.is_set():
            logging.shutdown()
            os._exit(1)

    async def _act(self) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, ended)
        if self._ending.is_set():
            return
        client = http.Client(self._config)
        spoken = dialects.learn(client)
        missing = {resource for resource, dialect in spoken.items() if dialect is None}
        known = [each for each in followed(self._component) if each not in missing]
        known_dialects = {kind: dialect for kind, dialect in spoken.items() if dialect}
        objects = cluster.RemoteCluster(client, known, known_dialects)
        async with following.running(self._config, objects, known):
            slices = resources.ENDPOINT_SLICES not in missing
            made = make_controllers(
                self._component,
                objects,
                client,
                slices=slices,
                root_ca_pem=self._config.ca_pem,
                addresses=self._addresses,
            )
            log.info(
                "%s: following %d kinds of %s", self._component, len(known), self._config.server
            )
            async with loops.kept_running(made):
                await ended.wait()

    def _leave(self, ended: asyncio.Event) -> None:
        self._end()
        ended.set()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to end. 0: ended in good order; else the error's exit code."""
    args = parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=logging.DEBUG if args.v >= 2 else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return Program(args, client_config.read_kubeconfig(args.kubeconfig)).run()
    except errors.LabkitError as error:
        hint = f"\n  try: {error.hint}" if error.hint else ""
        sys.stderr.write(f"{args.component}: {error}{hint}\n")
        return error.exit_code
