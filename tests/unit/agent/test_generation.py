"""What the kernel says of its rules' generation, and how often it is looked at."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from labkit.agent import generation
from labkit.agent import loop as event_loop
from tests.unit.agent import fakes

#: What a 6.18 kernel answered: generation 5, the process 16199, "python3".
ANSWER = bytes.fromhex(
    "34000000 0f0a0000 00000000 00000000 00 00 0005"
    "0800 0100 00000005 0800 0200 00003f47 0c00 0300 707974686f6e3300"
)


def test_the_id_is_read_from_the_kernel_s_answer() -> None:
    assert generation.parse_generation(ANSWER) == 5


@pytest.mark.parametrize(
    "message",
    [
        b"",
        ANSWER[:19],
        ANSWER[:24],
        ANSWER[:4] + struct.pack("=H", 2) + ANSWER[6:],  # an error
        ANSWER[:20] + b"\0" * 32,  # attributes of no length
    ],
)
def test_anything_else_is_no_generation(message: bytes) -> None:
    assert generation.parse_generation(message) is None


class Seen:
    def __init__(self) -> None:
        self.clock = fakes.FakeClock()
        self.loop = event_loop.Loop(self.clock)
        self.looks = 0
        self.watch = generation.Watch(self.loop, self._look, self.clock)

    def _look(self) -> None:
        self.looks += 1

    def after(self, seconds: float) -> int:
        """How many looks there have been so much later."""
        self.clock.advance(seconds)
        self.loop._run_due()
        return self.looks


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.watch.close()
    seen.loop.close()


def test_a_swarm_of_changes_is_looked_at_once(seen: Seen) -> None:
    for _ in range(5):
        seen.watch.hear(0)
    assert seen.after(generation.SETTLE_S / 2) == 0
    assert seen.after(generation.SETTLE_S) == 1
    assert seen.after(10) == 1


def test_changes_without_end_are_looked_at_now_and_then(seen: Seen) -> None:
    for _ in range(100):
        seen.watch.hear(0)
        seen.after(0.05)
    assert 4 <= seen.looks <= 6
