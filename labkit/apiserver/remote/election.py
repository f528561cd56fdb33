"""Who of many may act: the holder of a Lease, for as long as the lease is renewed.

The rule is Kubernetes' own, so that ours and kube-controller-manager's take turns. A candidate
watches the record: while it changes, its holder lives. When it has not changed for
`leaseDurationSeconds`, by the candidate's own clock, the candidate writes its own name into it; the
resourceVersion lets only one of them succeed. No clock is ever compared with another machine's.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labkit import errors
from labkit.client import http
from labkit.model import resources

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
#: kube-controller-manager's own values.
LEASE_S, RENEW_WITHIN_S, RETRY_S = 15, 10.0, 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A record, and when this candidate first saw it so (by its own, monotonic clock)."""

    spec: resources.Object
    since: float


def plan_claim(
    lease: resources.Object | None, me: str, name: str, *, stale: bool, now: str
) -> resources.Object | None:
    """The Lease that `me` should write; None while somebody else holds it."""
    if lease is None:
        meta = {"name": name, "namespace": NAMESPACE}
        return {"metadata": meta, "spec": _hold({}, me, now)}
    holder = lease["spec"].get("holderIdentity")
    if holder and holder != me and not stale:
        return None
    return {**lease, "spec": _hold(lease["spec"], me, now)}


def _hold(before: resources.Object, me: str, now: str) -> resources.Object:
    mine = before.get("holderIdentity") == me
    return {
        "holderIdentity": me,
        "leaseDurationSeconds": LEASE_S,
        "acquireTime": before["acquireTime"] if mine and before.get("acquireTime") else now,
        "renewTime": now,
        "leaseTransitions": before.get("leaseTransitions", 0) + (bool(before) and not mine),
    }


class Election:
    """One candidate. `win` returns when it may act; `keep` when it may not any more."""

    def __init__(
        self,
        client: http.Client,
        name: str,
        me: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._name = name
        self._me = me
        self._clock = clock
        self._seen = Seen({}, clock())
        self._leaving = threading.Event()

    def win(self) -> bool:
        """Wait for the lease. False: told to leave meanwhile."""
        said = ""
        while not self._leaving.is_set():
            holder = self._try()
            if holder == self._me:
                log.info("%s: %s acts", self._name, self._me)
                return True
            if holder != said:
                said = holder
                log.info("%s: %s acts; waiting", self._name, holder or "nobody")
            self._leaving.wait(RETRY_S)
        return False

    def keep(self) -> None:
        """Renew the lease until told to leave, or until that has failed for too long."""
        renewed = self._clock()
        while not self._leaving.wait(RETRY_S):
            holder = self._try()
            if holder == self._me:
                renewed = self._clock()
            elif holder or self._clock() - renewed > RENEW_WITHIN_S:
                log.error("%s: the lease is lost to %s", self._name, holder or "silence")
                return

    def leave(self) -> None:
        """From any thread: end `win` and `keep`."""
        self._leaving.set()

    def release(self) -> None:
        """Let the next one act at once."""
        try:
            lease = self._client.get(resources.LEASES, self._name, NAMESPACE)
            if lease["spec"].get("holderIdentity") == self._me:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._client.replace(resources.LEASES, lease)
        except errors.LabkitError as error:
            log.info("%s: the lease is not given back, and will run out: %s", self._name, error)

    def _try(self) -> str:
        """Claim or renew the lease; return who holds it now, empty where that is not known."""
        try:
            lease = self._look()
            stale = self._clock() - self._seen.since > self._duration()
            wanted = plan_claim(lease, self._me, self._name, stale=stale, now=_micro_time())
            if wanted is None:
                return str(self._seen.spec.get("holderIdentity", ""))
            write = self._client.replace if lease else self._client.create
            self._seen = Seen(write(resources.LEASES, wanted)["spec"], self._clock())
        except errors.LabkitError as error:
            log.log(_level(error), "%s: %s", self._name, error)
            return ""
        return self._me

    def _look(self) -> resources.Object | None:
        try:
            lease = self._client.get(resources.LEASES, self._name, NAMESPACE)
        except errors.NotFound:
            return None
        if lease["spec"] != self._seen.spec:
            self._seen = Seen(lease["spec"], self._clock())
        return lease

    def _duration(self) -> float:
        return float(self._seen.spec.get("leaseDurationSeconds") or LEASE_S)


def _level(error: errors.LabkitError) -> int:
    """That another candidate was faster is how it should be."""
    return logging.DEBUG if isinstance(error, errors.Conflict) else logging.WARNING


def _micro_time() -> str:
    """As metav1.MicroTime is written: always six digits."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
