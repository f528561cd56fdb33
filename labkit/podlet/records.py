"""Every pod that this node has, in memory and on disk: what is changed here is saved at once."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator
from ipaddress import IPv4Address

from labkit.podlet import state

log = logging.getLogger(__name__)


class Records:
    """Pods by their uid."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._pods: dict[str, state.Pod] = {}

    def __iter__(self) -> Iterator[state.Pod]:
        return iter(tuple(self._pods.values()))

    def __contains__(self, uid: object) -> bool:
        return uid in self._pods

    def __getitem__(self, uid: str) -> state.Pod:
        return self._pods[uid]

    def get(self, uid: str) -> state.Pod | None:
        return self._pods.get(uid)

    def load(self) -> None:
        """Take what an earlier podlet has saved."""
        self._pods = {pod.uid: pod for pod in state.load(self._folder)}

    def keep(self, pod: state.Pod) -> None:
        """Memory counts; where the disk is full only a successor will miss it."""
        self._pods[pod.uid] = pod
        try:
            state.save(self._folder, pod)
        except OSError as error:
            log.warning("the record of %s cannot be saved: %s", pod.netns, error.strerror)

    def put(self, uid: str, container: state.Container) -> None:
        self.keep(self._pods[uid].with_container(container))

    def drop(self, uid: str) -> None:
        del self._pods[uid]
        state.forget(self._folder, uid)

    def addresses(self, *, but: str) -> set[IPv4Address]:
        """The addresses that other pods have, or had and will want again."""
        return {pod.last_address for pod in self if pod.uid != but and pod.last_address}

    def has_namesake(self, pod: state.Pod) -> bool:
        """True while another pod has the same name: it was deleted, and is not gone yet."""
        return any(other.netns == pod.netns and other.uid != pod.uid for other in self)
