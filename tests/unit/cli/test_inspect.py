"""inspect: layers, hosts, files, what changed, and what goes on changing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cli import inspect as verb
from labkit.cli import looks
from labkit.inspection.layers import look, rows
from labkit.model import commands
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakes import FakeWorld

CASES = Path(__file__).parents[2] / "cases"
IPTABLES = str(CASES / "golden" / "02-app1-nodeport" / "iptables.rules")


class Counting:
    """A look at a counter that moves, until somebody presses Ctrl-C at `stop`."""

    def __init__(self, stop: int = 3) -> None:
        self.looks, self.stop = 0, stop

    def document(self) -> Any:
        raise AssertionError

    def __repr__(self) -> str:
        return f"Service app1\n  packets {self.looks // 2}\n  bytes 7"

    def to_json(self) -> dict[str, Any]:
        return {"schema": "labkit.dev/x", "name": "app1", "packets": self.looks // 2}

    def take(self, *_: Any, **__: Any) -> Counting:
        self.looks += 1
        if self.looks > self.stop:
            raise KeyboardInterrupt
        found = Counting()
        found.looks = self.looks
        return found


@pytest.fixture
def counter(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(world.lab, "inspect", made.take)
    monkeypatch.setattr(world, "pause", lambda seconds: None)
    return made


def test_a_layer_of_the_lab(run: Run, world: FakeWorld) -> None:
    assert run("inspect", "rules", "--node", "node1", "--chain", "X").stdout == "Service rules\n"
    assert world.lab.asked == [("inspect_layer", "rules", "node1", "X")]


def test_a_service_that_is_called_like_a_layer(run: Run, world: FakeWorld) -> None:
    run("inspect", "service", "rules")
    assert world.lab.asked == [("inspect", "rules", "default", None)]


def test_a_saved_rule_set(run: Run) -> None:
    done = run("inspect", "app1", "--file", IPTABLES)
    assert "default/app1 (iptables mode)" in done.stdout
    assert "33.3%" in done.stdout
    told = json.loads(
        run("inspect", "--file", "-", "-o", "json", stdin=Path(IPTABLES).read_text()).stdout
    )
    assert (told["schema"], told["modes"]) == ("labkit.dev/rules-inspection", ["iptables"])
    assert "10.244.1.2:8080" in run("inspect", "endpoints", "--file", IPTABLES).stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["app9", "--file", IPTABLES], 4, "know no Service default/app9"),
        (["sockets", "--file", IPTABLES], 2, "says nothing about sockets"),
        (["--file", "/no/such"], 2, "cannot read /no/such"),
        (["--file", IPTABLES, "--host", "x"], 2, "either --host or --file"),
        (["app1", "--watch", "--diff", "5s"], 2, "do not go together"),
        (["app1", "app2"], 2, "name a Service, or one of chains"),
        (["app1", "--diff", "/no/such"], 2, "cannot read the snapshot"),
    ],
)
def test_what_cannot_be(run: Run, words: list[str], status: int, said: str) -> None:
    done = run("inspect", *words)
    assert (done.exit_code, said in done.stderr) == (status, True), done.stderr


def test_a_host(run: Run, world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rules": Path(IPTABLES).read_text(), "sockets": "", "processes": ""}

    class Host:
        name = "node7"

        def script(self, text: str, *, check: bool = True) -> commands.Command:
            wanted = text.partition("'")[2].partition("'")[0].split()
            texts = [f"--- labkit {name}\n{answers[name]}" for name in wanted if name in answers]
            return commands.Command(
                ("ssh",), 0, "\n".join(texts), "sudo: a password is required", 0
            )

    asked: list[tuple[str, str]] = []

    def open_host(*words: str) -> Host:
        asked.append((words[0], words[1]))
        return Host()

    monkeypatch.setattr(world, "open_host", open_host)
    done = run("inspect", "app1", "--host", "admin@node7", "--ssh-config", "conf")
    assert asked == [("admin@node7", "conf")]
    assert done.stdout.startswith("node7: iptables rules, 1 service ports")
    assert world.lab.asked == []
    del answers["rules"]
    refused = run("inspect", "--host", "admin@node7")
    assert (refused.exit_code, "a password is required" in refused.stderr) == (5, True)
    assert "could not read rules" in run("inspect", "rules", "--host", "admin@node7").stdout


def test_the_difference_to_a_moment_ago(run: Run, counter: Counting) -> None:
    done = run("inspect", "app1", "--diff", "500ms")
    assert counter.looks == 2
    assert "changed  0 -> 1 (+1)" in done.stdout


def test_the_difference_to_a_snapshot(run: Run, counter: Counting, tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    saved.write_text('{"schema": "labkit.dev/x", "name": "app1", "packets": 9}')
    told = json.loads(run("inspect", "app1", "--diff", str(saved), "-o", "json").stdout)
    assert told["changes"] == [{"path": "packets", "kind": "changed", "before": "9", "after": "0"}]
    saved.write_text('["something else"]')
    wrong = run("inspect", "app1", "--diff", str(saved))
    assert (wrong.exit_code, "holds no inspection" in wrong.stderr) == (2, True)


def test_watching_prints_only_what_is_new(run: Run, counter: Counting) -> None:
    done = run("inspect", "app1", "--watch")
    assert done.exit_code == 0
    assert done.stdout == "Service app1\n  packets 0\n  bytes 7\n> packets 1\n"


def test_watching_on_a_terminal_redraws_and_marks(
    run: Run, world: FakeWorld, counter: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "draws", lambda: True)
    screens = run("inspect", "app1", "--watch").stdout.split(looks._CLEAR)
    assert screens[1] == "  Service app1\n    packets 0\n    bytes 7\n"
    assert ">   packets 1" in screens[2]
    assert ">" not in screens[3]


def test_watching_as_data_tells_each_change(run: Run, counter: Counting) -> None:
    done = run("inspect", "app1", "--watch", "-o", "json")
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(done.stdout)
    second, _ = decoder.raw_decode(done.stdout[end:].lstrip())
    assert first["packets"] == 0
    assert second["changes"][0]["after"] == "1"


def test_the_verb_knows_every_layer() -> None:
    assert set(verb.LAYERS) == rows.LAYERS.keys()
    assert {"service", *verb.LAYERS} == look.WANTED.keys()
