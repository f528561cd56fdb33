"""Whatever happens to Services and to their API server, the agent ends with what the server has.

Hypothesis draws a history: objects come, change and go; the server hangs up, or is away while more
happens and remembers nothing of it. The model is the server's own table. At the end, and nowhere
else, the two must agree: how often the agent asked is its own business.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Literal

import hypothesis
import pytest
from hypothesis import strategies

from labkit.agent import state
from labkit.client import config, watch
from labkit.model import proxying, resources
from labkit.model.resources import Object
from tests.unit.agent import fakes

NAMES = ("a", "b", "c")
PATIENCE_S = 10.0

Act = tuple[Literal["put", "remove"], str, int]
ACTS: strategies.SearchStrategy[Act] = strategies.tuples(
    strategies.sampled_from(("put", "put", "remove")),
    strategies.sampled_from(NAMES),
    strategies.integers(1, 9),
)
#: What happens in one go, and whether the API server is away meanwhile or hangs up after it.
SCENES = strategies.tuples(
    strategies.sampled_from(("there", "there", "away", "hangs up")),
    strategies.lists(ACTS, max_size=5),
)


class Watcher:
    """A Reflector and a Mirror, as in the agent."""

    def __init__(self, api: fakes.FakeApi) -> None:
        self._mirror: state.Mirror[state.Services] = state.Mirror()
        self._changed = threading.Condition()
        self._reflector = watch.Reflector(
            config.parse_kubeconfig(api.kubeconfig), resources.SERVICES, on_change=self._take
        )
        self._thread = threading.Thread(target=self._reflector.run)
        self._thread.start()

    def _take(self, change: watch.Change) -> None:
        with self._changed:
            self._mirror.take(state.digest(change, proxying.parse_service))
            self._changed.notify_all()

    def agrees(self, wanted: dict[str, int]) -> bool:
        """Whether it comes to know just these, by name and port."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._mirror.synced and self._known() == wanted, PATIENCE_S
            )

    def _known(self) -> dict[str, int]:
        return {port.name.name: port.port for ports in self._mirror.values() for port in ports}

    def close(self) -> None:
        self._reflector.stop()
        self._thread.join()


def service(name: str, port: int) -> Object:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": "10.96.20.1", "ports": [{"port": port}]},
    }


@pytest.mark.timeout(300)
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(scenes=strategies.lists(SCENES, max_size=4))
def test_the_agent_ends_with_what_the_server_has(
    scenes: list[tuple[str, list[Act]]],
) -> None:
    api = fakes.FakeApi()
    there: dict[str, int] = {}
    with contextlib.closing(api), contextlib.closing(Watcher(api)) as watcher:
        for manner, acts in scenes:
            with api.away() if manner == "away" else contextlib.nullcontext():
                for act, name, port in acts:
                    if act == "put":
                        api.put(service(name, port))
                        there[name] = port
                    elif there.pop(name, None):
                        api.remove(service(name, port))
            if manner == "hangs up":
                api.hang_up()
        assert watcher.agrees(there)
