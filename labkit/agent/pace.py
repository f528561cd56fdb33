"""How often rules may be synced: at once when it is quiet, in order when it is not. US-18.

Requests that come while one is waiting are one request. A bucket holds BURST tokens and fills at
one token per minimum period; a sync takes one. So two changes are served at once, a hundred changes
in a second by three syncs.
"""

from __future__ import annotations

from collections.abc import Callable

from labkit.agent import loop as event_loop

BURST = 2


class Bucket:
    """The tokens. Pure: the time comes from outside.

    >>> bucket = Bucket(period_s=1.0, now=0.0)
    >>> [bucket.wait_s(0.0), bucket.wait_s(0.0), bucket.wait_s(0.25)]
    [0.0, 0.0, 0.75]
    """

    def __init__(self, *, period_s: float, now: float) -> None:
        self._period_s = period_s
        self._tokens = float(BURST)
        self._filled = now

    def wait_s(self, now: float) -> float:
        """Take a token and return 0; or take none and return how long until there is one."""
        if not self._period_s:
            return 0.0
        self._tokens = min(BURST, self._tokens + (now - self._filled) / self._period_s)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) * self._period_s


class Pacer:
    """Runs `sync` when asked, not too often, and periodically even when not asked."""

    def __init__(
        self,
        loop: event_loop.Loop,
        sync: Callable[[], None],
        *,
        min_period_s: float,
        period_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._sync = sync
        self._period_s = period_s
        self._clock = clock
        self._bucket = Bucket(period_s=min_period_s, now=clock())
        self._requested = False
        self._timer = loop.later(period_s, self._attempt)

    def request(self) -> None:
        """Sync as soon as it may be."""
        if not self._requested:
            self._requested = True
            self._attempt()

    def stop(self) -> None:
        """No sync from now on, asked for or not."""
        self._timer.cancel()
        self._requested = True

    def _attempt(self) -> None:
        self._timer.cancel()
        wait_s = self._bucket.wait_s(self._clock())
        if wait_s:
            self._timer = self._loop.later(wait_s, self._attempt)
            return
        self._requested = False
        self._timer = self._loop.later(self._period_s, self._attempt)
        self._sync()
