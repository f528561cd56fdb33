"""What is yet to be told to the API server, on a thread of its own: the pods do not wait for it.

One letter per subject: a newer status takes the place of one that has not left yet. While the
server is away the letters stay, and go when it is back; what it refuses for good is dropped.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable, Hashable

from labkit import errors
from labkit.client import http, watch

log = logging.getLogger(__name__)

Letter = Callable[[http.Client], object]

#: Beyond this the oldest letter is dropped: by then the server has been away for hours.
LETTERS_MAX = 1000
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


class Outbox:
    """`put` may be called from any thread."""

    def __init__(self, client: http.Client) -> None:
        self._client = client
        self._letters: collections.OrderedDict[Hashable, Letter] = collections.OrderedDict()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._failures = 0

    def put(self, subject: Hashable, letter: Letter) -> None:
        with self._changed:
            self._letters[subject] = letter
            if len(self._letters) > LETTERS_MAX:
                self._letters.popitem(last=False)
            self._changed.notify()

    def run(self) -> None:
        while not self._stopping.is_set():
            taken = self._take()
            if taken is not None:
                self._send(*taken)

    def stop(self) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.notify()

    def _take(self) -> tuple[Hashable, Letter] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._letters or self._stopping.is_set())
            return self._letters.popitem(last=False) if self._letters else None

    def _send(self, subject: Hashable, letter: Letter) -> None:
        try:
            letter(self._client)
        except errors.NotFound as error:
            log.debug("%s: %s", subject, error)
        except errors.ApiError as error:
            if error.status >= _SERVER_ERROR or error.status == _TOO_MANY_REQUESTS:
                self._keep(subject, letter, error)
            else:
                log.warning("the API server refuses %s: %s", subject, error)
        except errors.ConnectionFailed as error:
            self._keep(subject, letter, error)
        else:
            self._failures = 0

    def _keep(self, subject: Hashable, letter: Letter, error: errors.LabkitError) -> None:
        """Put the letter back, unless there is a newer one, and wait a little."""
        with self._changed:
            if subject not in self._letters:
                self._letters[subject] = letter
                self._letters.move_to_end(subject, last=False)
        say = log.debug if self._failures else log.warning
        say("%s; trying again", error)
        delay_s = watch.BACK_OFF_S[min(self._failures, len(watch.BACK_OFF_S) - 1)]
        self._failures += 1
        self._stopping.wait(delay_s)
