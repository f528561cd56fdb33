"""The proxier: keeps what is live in step with what is wanted.

    API server ──watch──▶ Mirrors ──sync──▶ sockets, claims, rules ──▶ kernel
                             └──endpoints──▶ balancers

A change of Services asks for a *sync*. A change of Endpoints goes straight to the balancers, and no
rule is touched. A sync opens first and closes last: new proxy ports listen before the batch of
rules that names them is applied, and old ones are closed when no rule names them any more.

Until both Services and Endpoints are known completely, nothing is written. What a former process
left stands until then, and one batch replaces it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Protocol

from labkit import errors
from labkit.agent import live, pace, state, tally
from labkit.agent import loop as event_loop
from labkit.model import proxying

log = logging.getLogger(__name__)

#: A batch that failed is tried again after so long, or at the next change.
RETRY_S = 5.0


class Rulekeeper(Protocol):
    """What the proxier needs of the kernel. All of it takes its time, so it runs aside."""

    def apply(self, wanted: live.WantedRules) -> bool: ...

    def is_flushed(self) -> bool: ...

    def forget_udp_flows(self, portals: Mapping[tuple[str, int], int]) -> None: ...


class Proxier:
    """Everything here runs on the loop's thread, except what is handed to the kernel."""

    def __init__(
        self,
        loop: event_loop.Loop,
        ports: live.LivePorts,
        kernel: Rulekeeper,
        counts: tally.Tally,
        read_local: Callable[[], Set[proxying.IPAddress]],
        *,
        sync_period_s: float,
        min_sync_period_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._live = ports
        self._kernel = kernel
        self._tally = counts
        self._read_local = read_local
        self._services: state.Mirror[state.Services] = state.Mirror()
        self._endpoints: state.Mirror[state.Endpoints] = state.Mirror()
        self._said: frozenset[str] = frozenset()
        self._local: Set[proxying.IPAddress] = frozenset()
        self._applying = False
        self._again = False
        self._look_again = False
        self._draining = False
        self._clock = clock
        self._born = time.time()
        self._sync_began = 0.0
        self._in_sync = 0
        self._pacer = pace.Pacer(
            loop, self._sync, min_period_s=min_sync_period_s, period_s=sync_period_s, clock=clock
        )

    def take_services(self, news: state.News[state.Services]) -> None:
        """Hear of Services. Asks for a sync if that makes a difference.

        Endpoints may have come while their Service was away: the two watches have no common order.
        Who is still served under that name hears of them now.
        """
        was_ready = self._ready
        changed = self._services.take(news)
        for key in changed:
            self._set_endpoints(key)
        self._tally.service_changes += len(changed)
        self._tally.service_changes_pending += len(changed)
        if self._ready and (changed or not was_ready):
            self._request()

    def take_endpoints(self, news: state.News[state.Endpoints]) -> None:
        """Hear of Endpoints. They take effect at once, without a sync."""
        was_ready = self._ready
        changed = self._endpoints.take(news)
        self._tally.endpoint_changes += len(changed)
        if not was_ready:
            self._tally.endpoint_changes_pending += len(changed)
        for key in changed:
            if self._set_endpoints(key):
                self._observe_programming(news.triggers.get(key, 0.0))
        if self._ready and not was_ready:
            self._request()

    def look_for_flush(self) -> None:
        """Somebody has changed rules. Sync if ours are gone altogether; less can wait its turn.

        kube-proxy makes the same difference: what a firewall's restart took is written again at
        once, and who takes out a single rule sees what that does, until the sync period is over.
        """
        if self._applying:
            self._look_again = True
        elif self._ready and not self._draining:
            self._loop.aside(self._is_flushed, self._looked)

    def drain(self) -> None:
        """Begin nothing new. The rules stay, for the process that comes next (US-72).

        A connection made meanwhile is refused at once, because nobody listens where the rules turn
        it; without them it would wander off by the default route.
        """
        self._draining = True
        self._pacer.stop()
        self._live.drain()

    def close(self) -> None:
        """Close every socket, and leave the rules."""
        self._live.close()

    @property
    def _ready(self) -> bool:
        return self._services.synced and self._endpoints.synced

    def _request(self) -> None:
        self._tally.last_queued = time.time()
        self._pacer.request()

    def _set_endpoints(self, key: state.Key) -> bool:
        """Tell the balancers of one Service. Returns whether there are any."""
        entries = [self._live.get(port.name) for port in self._services.get(key) or ()]
        for entry in entries:
            if entry:
                entry.balancer.set_endpoints(self._endpoints_of(entry.service_port.name))
                entry.proxy.endpoints_changed()
        return any(entries)

    def _observe_programming(self, triggered: float) -> None:
        """How long ago the pod changed; what happened before our time does not count."""
        if triggered >= self._born:
            self._tally.programming_s.observe(max(0.0, time.time() - triggered))

    def _sync(self) -> None:
        if not self._ready or self._draining:
            return
        if self._applying:
            self._again = True
            return
        self._sync_began = self._clock()
        self._in_sync = self._tally.service_changes_pending
        self._tally.endpoint_changes_pending = 0
        self._local = self._read_local()
        self._say((*self._update(), *self._live.settle(self._local)))
        self._live.expire_affinity()
        wanted = self._live.wanted_rules()
        self._applying = True
        self._loop.aside(lambda: self._apply(wanted), self._applied)

    def _update(self) -> Iterator[str]:
        """Bring the live ports up to date. Yields what is not served, and why."""
        served = []
        for port in (port for service in self._services.values() for port in service):
            if why := state.why_not_proxied(port):
                yield f"{port.name}: {why}"
            else:
                served.append(port)
        yield from self._live.update(served, self._endpoints_of)

    def _apply(self, wanted: live.WantedRules) -> bool | errors.LabkitError:
        """Runs aside."""
        try:
            return self._kernel.apply(wanted)
        except errors.LabkitError as error:
            return error

    def _is_flushed(self) -> bool:
        """Runs aside."""
        try:
            return self._kernel.is_flushed()
        except errors.LabkitError as error:
            log.warning("the rules cannot be read: %s", error)
            return False

    def _looked(self, flushed: bool) -> None:  # noqa: FBT001
        if flushed:
            log.warning("somebody has flushed the rules; writing them again")
            self._request()

    def _applied(self, outcome: bool | errors.LabkitError) -> None:  # noqa: FBT001
        self._applying = False
        self._tally.sync_s.observe(self._clock() - self._sync_began)
        if self._look_again:
            self._look_again = False
            self.look_for_flush()
        if isinstance(outcome, errors.LabkitError):
            self._tally.restore_failures += 1
            log.error("the rules are not as they should be: %s", outcome)
            self._loop.later(RETRY_S, self._request)
            return
        self._tally.syncs += 1
        self._tally.service_changes_pending -= self._in_sync
        self._tally.last_sync = time.time()
        if outcome:
            log.info("the rules have changed; %d service ports are served", len(self._live))
        retired = self._live.close_retired()
        if turned := self._live.take_turned(self._local):
            self._loop.aside(lambda: self._kernel.forget_udp_flows(turned), lambda _: None)
        if self._again or any(entry.allocated for entry in retired):
            self._again = False
            self._request()

    def _say(self, complaints: Sequence[str]) -> None:
        """Each once, not at every sync."""
        for complaint in complaints:
            if complaint not in self._said:
                log.warning("%s", complaint)
        self._said = frozenset(complaints)

    def _endpoints_of(self, name: proxying.ServicePortName) -> Sequence[proxying.Endpoint]:
        found = self._endpoints.get((name.namespace, name.name)) or {}
        return found.get(name, ())
