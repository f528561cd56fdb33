"""Starts the podlet's parts, joins them, and stops them."""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from labkit import errors
from labkit.client import config, http, watch
from labkit.model import resources
from labkit.podlet import (
    cleanup,
    follow,
    host,
    log_server,
    loop,
    options,
    outbox,
    reporter,
    worker,
)

log = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)s %(module)s: %(message)s"
_DETAILS_FROM = 4


def run(argv: Sequence[str]) -> int:
    """Run until TERM or INT. The exit status is that of the error tree."""
    given = options.parse(argv)
    level = logging.DEBUG if given.verbosity >= _DETAILS_FROM else logging.INFO
    logging.basicConfig(stream=sys.stderr, format=_FORMAT, level=level)
    try:
        if given.cleanup:
            cleanup.clean(given)
        else:
            Podlet(given, config.read_kubeconfig(given.kubeconfig)).run()
    except errors.LabkitError as error:
        log.critical("%s%s", error, f" ({error.hint})" if error.hint else "")
        return error.exit_code
    return 0


class Podlet:
    """All parts of one podlet, and the threads that they run on."""

    def __init__(self, given: options.Options, api: config.ClientConfig) -> None:
        self._options = given
        self._loop = loop.Loop()
        self._outbox = outbox.Outbox(http.Client(api))
        tell = reporter.Reporter(given, self._outbox)
        self._bell = follow.Bell()
        self._worker = worker.Worker(given, self._loop, tell, self._bell.ring)
        self._log_server = log_server.LogServer(
            given,
            self._loop,
            self._worker.find_log,
            self._worker.find_place,
            self._worker.find_network,
            self._bell,
        )
        self._host = host.Host(given, self._loop, self._outbox, self._worker.take_api_service)
        self._pods = watch.Reflector(
            api,
            resources.PODS,
            field_selector=f"spec.nodeName={given.name}",
            on_change=self._on_loop(self._take_pods),
        )
        self._nodes = watch.Reflector(
            api, resources.NODES, on_change=self._on_loop(self._host.take_nodes)
        )

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._loop.stop())
        signal.signal(signal.SIGIO, lambda *_: self._loop.post(self._bell.ring))
        self._options.state_dir.mkdir(parents=True, exist_ok=True)
        self._log_server.begin()
        self._host.begin()
        self._worker.adopt()
        parts = (self._outbox, self._pods, self._nodes)
        for part in parts:
            threading.Thread(target=part.run, daemon=True).start()
        self._loop.run()
        for part in parts:
            part.stop()
        log.info("stopped; the pods go on")

    def _take_pods(self, change: watch.Change) -> None:
        self._worker.take_pods(change)
        if isinstance(change, watch.Synced):
            self._host.tell_in_step()

    def _on_loop(self, take: Callable[[watch.Change], None]) -> Callable[[watch.Change], None]:
        """Let a watch's thread hand its changes to the loop, which owns everything."""
        return lambda change: self._loop.post(functools.partial(take, change))
