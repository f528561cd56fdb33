"""What is remembered survives on disk; what is broken there does no harm."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.podlet import records, state
from tests.unit.podlet import samples

texts = st.text(max_size=12)
times = st.floats(0, 2e9)
runs = st.builds(
    state.Run, texts, texts, st.integers(0), st.integers(0), times, times, st.integers(0, 255)
)
containers = st.builds(
    state.Container,
    texts,
    st.integers(0),
    st.none() | runs,
    st.none() | runs,
    st.booleans(),
    texts,
    texts,
    times,
    st.integers(0),
    times,
    st.booleans(),
)
addresses = st.none() | st.ip_addresses(v=4)
kept_pods = st.builds(
    state.Pod,
    texts,
    texts,
    texts,
    times,
    st.lists(containers, max_size=2).map(tuple),
    addresses,
    addresses,
)


@given(kept_pods)
def test_what_is_rendered_parses_to_the_same(pod: state.Pod) -> None:
    assert state.parse_pod(state.render_pod(pod)) == pod


def test_names_of_ours() -> None:
    pod = samples.pod()
    assert pod.netns == "default_app1"
    assert pod.veth == "lka4a5f8d679"
    assert len(pod.veth) <= 15


def test_records_are_found_again_and_forgotten(tmp_path: Path) -> None:
    known = records.Records(tmp_path)
    known.keep(samples.pod())
    known.put(samples.UID, samples.running())
    again = records.Records(tmp_path)
    again.load()
    assert again[samples.UID].container("main") == samples.running()
    assert again.addresses(but="another") == {IPv4Address("10.244.1.2")}
    assert again.addresses(but=samples.UID) == set()
    assert again.has_namesake(state.Pod("other", "default", "app1", 0, ()))
    (tmp_path / f"{samples.UID}.ffff.exit").write_text("0\n")
    again.drop(samples.UID)
    assert list(tmp_path.iterdir()) == []


def test_half_a_record_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state.save(tmp_path, samples.pod())
    (tmp_path / "broken.json").write_text('{"uid": "x"')
    assert state.load(tmp_path) == (samples.pod(),)
    assert "broken.json cannot be read" in caplog.text
    assert not (tmp_path / "broken.json").exists()


def test_a_process_is_its_pid_and_when_it_began() -> None:
    ticks = state.ticks_of(os.getpid())
    assert ticks > 0
    assert state.is_alive(samples.run(pid=os.getpid(), ticks=ticks))
    assert not state.is_alive(samples.run(pid=os.getpid(), ticks=ticks + 1))
    assert not state.is_alive(samples.run(pid=2**22 + 1, ticks=0))


def test_the_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "pods"
    state.forget_all(folder)
    folder.mkdir()
    state.save(folder, samples.pod())
    state.forget_all(folder)
    assert not folder.exists()


def test_a_full_disk_costs_the_successor_its_memory_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = records.Records(tmp_path / "gone")
    known.keep(samples.pod())
    assert known[samples.UID] == samples.pod()
    assert "the record of default_app1 cannot be saved" in caplog.text
