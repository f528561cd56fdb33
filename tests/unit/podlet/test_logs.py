"""Which log is meant, and which part of it; following one that grows."""

from __future__ import annotations

import fcntl
import io
import os
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import errors
from labkit.podlet import follow, log_server, logs, options, state, trimming
from tests.unit.podlet import samples
from tests.unit.podlet.samples import NOW, UID

TARGET = "/containerLogs/default/app1/main"
PATIENCE_S = 5.0


@pytest.fixture
def node(tmp_path: Path) -> options.Options:
    return options.parse(["--pod-log-dir", str(tmp_path), "--hostname-override", "node1"])


class TestQuery:
    def test_the_whole_log_is_asked_for(self) -> None:
        asked = logs.parse_query(TARGET, NOW)
        assert asked == logs.Query("default", "app1", "main")

    def test_every_parameter(self) -> None:
        text = f"{TARGET}?follow=true&previous=1&tailLines=5&limitBytes=9&sinceSeconds=60"
        asked = logs.parse_query(text, NOW)
        assert (asked.follow, asked.previous) == (True, True)
        assert (asked.tail, asked.limit, asked.since) == (5, 9, NOW - 60)
        assert logs.parse_query(f"{TARGET}?follow=false&timestamps=false", NOW).follow is False
        moment = logs.parse_query(f"{TARGET}?sinceTime=1970-01-01T00:01:00Z", NOW)
        assert moment.since == 60

    @pytest.mark.parametrize(
        ("target", "status", "why"),
        [
            ("/", 404, "not found"),
            ("/pods", 404, "not found"),
            (f"{TARGET}/more", 404, "not found"),
            (f"{TARGET}?tailLines=many", 400, "'many'"),
            (f"{TARGET}?sinceTime=noon", 400, "noon"),
            (f"{TARGET}?timestamps=true", 400, "no timestamps"),
        ],
    )
    def test_what_cannot_be_answered(self, target: str, status: int, why: str) -> None:
        with pytest.raises(errors.ApiError, match=why) as caught:
            logs.parse_query(target, NOW)
        assert caught.value.status == status


def choose(
    node: options.Options, container: state.Container, *, policy: str = "Always", **asked: bool
) -> tuple[str, state.Run]:
    """The name of the file that is chosen, and the run."""
    query = logs.Query("default", "app1", "main", **asked)
    pod, wanted = samples.pod(container), samples.wanted(restartPolicy=policy)
    source = logs.plan_source(node, wanted, pod, query)
    assert source.file.parent == node.log_dir / f"default_app1_{UID}" / "main"
    return source.file.name, source.run


class TestSource:
    OLD = samples.run(id="e" * 64, finished=NOW - 70, exit_code=1)

    def test_a_container_that_runs(self, node: options.Options) -> None:
        container = samples.running(restarts=2, last=self.OLD)
        assert choose(node, container) == ("2.log", container.live_run)
        assert choose(node, container, previous=True) == ("1.log", self.OLD)

    def test_a_container_that_has_ended_for_good(self, node: options.Options) -> None:
        container = samples.ended(0, restarts=1, last=self.OLD)
        assert choose(node, container, policy="Never") == ("1.log", container.live_run)
        assert choose(node, container, policy="Never", previous=True) == ("0.log", self.OLD)

    def test_of_one_that_waits_the_last_run_is_current_and_previous(
        self, node: options.Options
    ) -> None:
        container = samples.ended(1, restarts=1, last=self.OLD)
        assert choose(node, container) == ("1.log", container.live_run)
        assert choose(node, container, previous=True) == ("1.log", container.live_run)

    @pytest.mark.parametrize(
        ("reason", "why"),
        [
            ("ContainerCreating", "is waiting to start: ContainerCreating"),
            ("ErrImagePull", "is waiting to start: image can't be pulled"),
            ("ImagePullBackOff", "is waiting to start: trying and failing to pull image"),
        ],
    )
    def test_one_that_has_never_run(self, node: options.Options, reason: str, why: str) -> None:
        with pytest.raises(errors.ApiError, match=why) as caught:
            choose(node, state.Container("main", reason=reason))
        assert caught.value.status == 400

    def test_there_is_no_previous_run(self, node: options.Options) -> None:
        words = 'previous terminated container "main" in pod "app1" not found'
        with pytest.raises(errors.ApiError, match=words):
            choose(node, samples.running(), previous=True)

    def test_there_is_no_such_container(self, node: options.Options) -> None:
        with pytest.raises(errors.NotFound, match='"main" not found in pod "app1"'):
            choose(node, state.Container("other"))

    def test_the_log_of_an_earlier_release_moves_and_goes(self, node: options.Options) -> None:
        old = node.log_dir / "default_app1.log"
        old.write_text("before\n")
        pod = samples.pod(samples.running(restarts=3))
        logs.adopt(node, pod)
        logs.adopt(node, pod)
        assert not old.exists()
        assert (logs.folder_of(node, pod) / "main/3.log").read_text() == "before\n"
        logs.forget(logs.folder_of(node, pod))
        logs.forget(logs.folder_of(node, pod))
        assert list(node.log_dir.iterdir()) == []


class TestPart:
    @given(st.lists(st.text("ab", max_size=4)), st.integers(1, 9), st.booleans())
    def test_the_last_lines(self, lines: list[str], count: int, ends: bool) -> None:
        text = "\n".join(lines) + ("\n" if ends and lines else "")
        file = io.BytesIO(text.encode())
        file.seek(logs.find_tail(file, count))
        assert file.read().decode() == "".join(text.splitlines(keepends=True)[-count:])

    def test_the_last_lines_of_a_long_log(self) -> None:
        whole = b"".join(b"line %d\n" % number for number in range(50_000))
        file = io.BytesIO(whole)
        file.seek(logs.find_tail(file, 20_000))
        assert file.read() == whole[whole.index(b"line 30000\n") :]

    def test_since_is_answered_where_it_can_be(self) -> None:
        run = samples.run(started=NOW)
        assert logs.plan_since(NOW, run, NOW + 9) == 0, "all of the run is younger"
        assert logs.plan_since(NOW + 10, run, NOW + 9) == -1, "nothing has come since"
        with pytest.raises(errors.ApiError, match=r"no timestamps.*--tail"):
            logs.plan_since(NOW + 5, run, NOW + 9)

    def test_where_an_answer_begins(self, tmp_path: Path) -> None:
        path = tmp_path / "0.log"
        path.write_text("one\ntwo\n")
        os.utime(path, (NOW, NOW))
        with path.open("rb") as file:
            for text, begin in (
                ("", 0),
                ("?tailLines=1", 4),
                ("?tailLines=0", 8),
                ("?sinceSeconds=60", 0),
                ("?sinceSeconds=60&tailLines=1", 4),
                ("?sinceSeconds=-1", 8),
            ):
                query = logs.parse_query(TARGET + text, NOW)
                assert logs.find_start(file, query, samples.run()) == begin, text

    @pytest.mark.parametrize(("limit", "left"), [(None, "abcdef"), (9, "abcdef"), (4, "abcd")])
    def test_no_more_than_the_limit(self, limit: int | None, left: str) -> None:
        assert b"".join(logs.cut(iter([b"abc", b"def"]), limit)).decode() == left


class TestTrimming:
    LINE = b"%07d\n"

    def write(self, path: Path, numbers: range) -> None:
        with path.open("ab") as file:
            file.writelines(self.LINE % number for number in numbers)

    def test_a_short_log_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "0.log"
        path.write_bytes(b"x" * (trimming.LIMIT // 2))
        assert trimming.plan_cut(path.stat(), seen=trimming.LIMIT) == 0

    def test_what_was_there_at_the_look_before_goes_and_no_line_else(self, tmp_path: Path) -> None:
        path, trimmer = tmp_path / "0.log", trimming.Trimmer()
        count = 2 * trimming.LIMIT // 8
        self.write(path, range(count))
        with path.open("rb") as reader:
            reader.seek(8 * (count - 1))  # a follower, who is nearly there
            trimmer.trim([path])
            assert path.stat().st_blocks * 512 > trimming.LIMIT, "nobody has had time to read it"
            trimmer.trim([path, tmp_path / "gone.log"])
            assert path.stat().st_blocks * 512 <= trimming.LIMIT
            self.write(path, range(count, count + 1))
            assert list(logs.read_on(reader)) == [b"%07d\n%07d\n" % (count - 1, count)]
        with path.open("rb") as file:
            for text, last in (("", 0), ("?tailLines=9999999", 0), ("?tailLines=2", 2)):
                query = logs.parse_query(TARGET + text, NOW)
                file.seek(logs.find_start(file, query, samples.run()))
                left = [int(line) for line in b"".join(logs.read_on(file)).splitlines()]
                assert left == list(range(left[0], count + 1)), "whole lines, without a gap"
                assert len(left) == last or len(left) * 8 >= trimming.KEPT

    def test_a_reader_who_is_too_slow_goes_on_where_lines_are(self, tmp_path: Path) -> None:
        path = tmp_path / "0.log"
        self.write(path, range(50_000))
        with path.open("rb") as reader:
            pieces = logs.read_on(reader)
            assert next(pieces).startswith(b"0000000\n")
            trimming.give_up(path, 70 * 4096)
            left = [int(line) for line in b"".join(pieces).splitlines()]
        assert left == list(range(70 * 512 + 1, 50_000))

    def test_zeros_that_the_program_has_written_are_shown(self, tmp_path: Path) -> None:
        path = tmp_path / "0.log"
        path.write_bytes(b"\0\0one\n")
        with path.open("rb") as file:
            assert list(logs.read_on(file)) == [b"\0\0one\n"]

    def test_a_file_system_that_cannot_is_told_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path, trimmer = tmp_path / "0.log", trimming.Trimmer()
        path.write_bytes(b"x" * 2 * trimming.LIMIT)
        (tmp_path / "fallocate").write_text("#!/bin/sh\necho not supported >&2; exit 1\n")
        (tmp_path / "fallocate").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        trimmer.trim([path])
        trimmer.trim([path])
        assert "not supported" in caplog.text


class Follower:
    """A thread that follows the log of a real process, which says what it is told to say."""

    def __init__(self, path: Path, bell: follow.Bell) -> None:
        argv = ("sh", "-c", 'while read -r line; do echo "$line"; done')
        with path.open("wb") as file:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=file)
        pid = self.process.pid
        self.run = samples.run(pid=pid, ticks=state.ticks_of(pid))
        self.ours, self.theirs = socket.socketpair()
        self.pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._path, self._bell = path, bell
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        with self._path.open("rb") as file:
            for piece in follow.follow(file, self._path.parent, self.run, self._bell, self.theirs):
                self.pieces.put(piece)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hears(self, line: str) -> None:
        assert self.pieces.get(timeout=PATIENCE_S).decode() == f"{line}\n"

    def ended(self) -> bool:
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.ours.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        self.theirs.close()


class TestFollow:
    @pytest.fixture
    def bell(self) -> follow.Bell:
        return follow.Bell()

    @pytest.fixture
    def follower(
        self, tmp_path: Path, bell: follow.Bell, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Follower]:
        """As on a kernel without dnotify: the signals are for the podlet's own loop."""

        def refuse(*_: object) -> int:
            raise OSError("no dnotify")

        monkeypatch.setattr(fcntl, "fcntl", refuse)
        made = Follower(tmp_path / "0.log", bell)
        yield made
        made.close()

    def test_what_is_written_comes(self, follower: Follower) -> None:
        for line in ("one", "two"):
            follower.say(line)
            follower.hears(line)

    def test_it_ends_with_the_process(self, follower: Follower, bell: follow.Bell) -> None:
        follower.say("one")
        follower.hears("one")
        follower.process.kill()
        follower.process.wait(PATIENCE_S)
        bell.ring()
        assert follower.ended()

    def test_it_ends_when_the_reader_leaves(self, follower: Follower) -> None:
        follower.ours.shutdown(socket.SHUT_WR)
        assert follower.ended()
        assert follower.process.poll() is None


class TestHttp:
    def test_the_lines_that_count(self) -> None:
        found = log_server.parse_request(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nUPGRADE:y\r\n\r\n")
        assert (found.method, found.target) == ("GET", "/a?b=c")
        assert (found.headers["host"], found.headers["upgrade"]) == ("x", "y")
        for head in (b"GET /a", b"GET /a SSH-2.0"):
            with pytest.raises(errors.ApiError) as caught:
                log_server.parse_request(head)
            assert caught.value.status == 400

    def test_a_head_comes_in_pieces_and_has_an_end(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(b"GET / HTTP/1.1\r\n")
            ours.sendall(b"\r\n")
            assert log_server.read_head(theirs) == b"GET / HTTP/1.1\r\n\r\n"
            ours.sendall(b"x" * 20_480)
            with pytest.raises(errors.ApiError, match="too long"):
                log_server.read_head(theirs)
            ours.shutdown(socket.SHUT_WR)
            with pytest.raises(ConnectionResetError, match="in the middle of a request"):
                log_server.read_head(theirs)

    def test_a_body_without_a_length_says_where_it_ends(self) -> None:
        body = b"".join(log_server.chunked(iter([b"abc", b"", b"d" * 16])))
        assert body == b"3\r\nabc\r\n10\r\n" + b"d" * 16 + b"\r\n0\r\n\r\n"

    def test_a_refusal(self) -> None:
        told = log_server.render_refusal(400, "no")
        assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert told.endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\nno")

    def test_certificates_that_cannot_be_read_are_named(self, tmp_path: Path) -> None:
        given = options.parse(["--tls-cert-file", str(tmp_path / "none.crt")])
        with pytest.raises(errors.ConfigError, match=r"none\.crt"):
            log_server.make_tls(given)
