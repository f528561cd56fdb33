"""A set of names that somebody has to look at: how controllers hear of changes.

A controller never acts on a change as such. It notes which object the change concerns, and looks at
what is there when its turn comes: so ten changes are one turn, and a lost one is impossible.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

#: After a failure a key is looked at again so much later; the failure is in the log.
RETRY_S = 1.0

#: (namespace, name)
Key = tuple[str, str]


class Keys:
    """Each key once, in the order of its first mention."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._some = asyncio.Event()

    def add(self, *keys: Key) -> None:
        self.update(keys)

    def update(self, keys: Iterable[Key]) -> None:
        self._waiting.update(dict.fromkeys(keys))
        if self._waiting:
            self._some.set()

    async def serve(self, act: Callable[[str, str], None]) -> None:
        """For ever: call `act` with each key, and again later where it failed."""
        while True:
            for key in await self.take():
                try:
                    act(*key)
                except Exception:
                    logger.exception("%s failed", key)
                    asyncio.get_running_loop().call_later(RETRY_S, self.add, key)
                # Requests come before the next key.
                await asyncio.sleep(0)

    async def take(self) -> list[Key]:
        """Wait until there is a key; return all that there are."""
        await self._some.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        self._some.clear()
        return taken
