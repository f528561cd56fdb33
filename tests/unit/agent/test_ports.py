"""Proxy ports: US-69, and what kube-proxy's own tests of its allocator ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.agent import ports


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("", 0, 0),
        ("0", 0, 0),
        ("0-0", 0, 0),
        ("0-100", 0, 0),
        ("40000-40003", 40000, 40003),
        ("40000+3", 40000, 40003),
        ("5000", 5000, 5000),
    ],
)
def test_US_69_ranges(text: str, first: int, last: int) -> None:
    assert ports.parse_port_range(text) == ports.PortRange(first, last)


@pytest.mark.parametrize("text", ["9-5", "1-70000", "abc", "1-2+3", "65535+1", "-5", "1-"])
def test_US_69_what_is_no_range_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="write 40000-41000"):
        ports.parse_port_range(text)


def test_without_a_range_the_kernel_chooses() -> None:
    allocator = ports.PortAllocator(ports.PortRange())
    assert [allocator.allocate() for _ in range(3)] == [0, 0, 0]
    allocator.release(0)


@given(st.integers(1, 60000), st.integers(0, 40))
def test_every_port_of_a_range_is_given_once(first: int, count: int) -> None:
    allocator = ports.PortAllocator(ports.PortRange(first, first + count))
    given_out = [allocator.allocate() for _ in range(count + 1)]
    assert sorted(given_out) == list(range(first, first + count + 1))
    with pytest.raises(ports.PortsExhausted):
        allocator.allocate()
    allocator.release(given_out[0])
    assert allocator.allocate() == given_out[0]


def test_the_order_is_random() -> None:
    allocator = ports.PortAllocator(ports.PortRange(1, 100))
    first = [allocator.allocate() for _ in range(100)]
    for port in first:
        allocator.release(port)
    assert [allocator.allocate() for _ in range(100)] != first
