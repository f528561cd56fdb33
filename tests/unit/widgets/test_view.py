"""The base of every widget: one thread, errors as text, and forms that need no kernel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from labkit import errors
from labkit.display import document, shown
from labkit.widgets import controls, view

WAITS_S = 10


@dataclass(frozen=True, slots=True, repr=False)
class Sum(shown.Shown):
    total: int

    def document(self) -> document.Section:
        return document.Section(f"The sum is {self.total}", (document.Text("added <here>"),))


class Adder(view.View):
    """Adds what it is given; `gate` holds it up."""

    def __init__(self) -> None:
        super().__init__(
            "Adder",
            [controls.Number("more", "more", 1), controls.Button("add", "Add")],
            {"add": ("adding", self._add)},
        )
        self.gate = threading.Event()
        self.gate.set()
        self.total = 0

    def _add(self, *, more: int) -> None:
        assert self.gate.wait(WAITS_S)
        if more == 0:
            raise errors.UsageError("nothing to add", hint="say more than 0")
        if more < 0:
            raise ZeroDivisionError("negative")
        self.total += more
        self.show(Sum(self.total), f"added {more}")


@pytest.fixture
def adder() -> Iterator[Adder]:
    made = Adder()
    yield made
    made.gate.set()
    made.close()


def press(widget: view.View, action: str, **values: object) -> None:
    """What arrives when a button is pressed in a browser."""
    widget._handle_custom_msg({"action": action, "values": values}, [])


def test_a_callback_returns_while_its_action_still_runs(adder: Adder) -> None:
    adder.gate.clear()
    press(adder, "add", more=2)  # would hang here if the callback did the work
    done = adder.act("add", more=3)
    assert not done.done()
    adder.gate.set()
    done.result(WAITS_S)
    assert (adder.total, adder.busy, adder.said) == (5, "", "added 3")


def test_it_says_what_it_does_while_it_does_it(adder: Adder) -> None:
    said: list[str] = []
    adder.observe(lambda change: said.append(change["new"]), "busy")
    adder.act("add", more=1).result(WAITS_S)
    assert said == ["adding", ""]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (0, "nothing to add; say more than 0"),
        (-1, "a fault in labkit: ZeroDivisionError('negative')"),
    ],
)
def test_an_error_is_shown_and_the_widget_goes_on(adder: Adder, more: int, told: str) -> None:
    failed = adder.act("add", more=more)
    assert failed.exception(WAITS_S) is not None
    assert (adder.error, adder.busy) == (told, "")
    adder.act("add", more=4).result(WAITS_S)
    assert (adder.error, adder.total) == ("", 4)


def test_without_a_kernel_the_value_is_seen_as_text_and_as_html(adder: Adder) -> None:
    adder.act("add", more=7).result(WAITS_S)
    data, _ = adder._repr_mimebundle_()
    assert data["text/plain"] == repr(Sum(7))
    assert data["text/html"].startswith(Sum(7)._repr_html_())
    assert "Run the cell again" in data["text/html"]
    assert "added &lt;here&gt;" in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_before_the_first_value_it_says_so(adder: Adder) -> None:
    data, _ = adder._repr_mimebundle_()
    assert data["text/plain"] == "Adder: nothing to show yet"
    assert "Adder: nothing to show yet" in data["text/html"]


def test_what_it_does_right_now_is_seen_in_its_first_forms(adder: Adder) -> None:
    """A first look that has begun is awaited, so that a notebook is not saved without it."""
    adder.gate.clear()
    adder.act("add", more=5)
    threading.Timer(0.2, adder.gate.set).start()
    data, _ = adder._repr_mimebundle_()
    assert data["text/plain"] == repr(Sum(5))


def test_what_does_not_come_does_not_hold_up_a_cell(
    adder: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "SETTLES_S", 0.05)
    adder.gate.clear()
    adder.act("add", more=5)
    data, _ = adder._repr_mimebundle_()
    assert data["text/plain"] == "Adder: nothing to show yet"


def test_the_browser_hears_that_it_was_heard(adder: Adder) -> None:
    adder.gate.clear()
    press(adder, "add", more=1)
    assert adder.heard == 1


def test_closing_ends_the_thread(adder: Adder) -> None:
    adder.act("add", more=1).result(WAITS_S)
    mine = [each for each in threading.enumerate() if each.name.startswith("labkit Adder")]
    assert mine
    adder.close()
    for each in mine:
        each.join(WAITS_S)
        assert not each.is_alive()


def test_every_control_has_a_label_that_can_be_read_out() -> None:
    shows: list[controls.Control] = [
        controls.Button("go", "Go"),
        controls.Switch("live", "every second"),
        controls.Choice("via", "By", controls.same_words("a", "b"), "a"),
        controls.Number("count", "Requests", 10, 1, 20),
        controls.Words("name", "name"),
    ]
    drawn = controls.to_json(shows)
    assert [each["kind"] for each in drawn] == ["button", "switch", "choice", "number", "words"]
    assert all(each["label"] for each in drawn)
    assert drawn[2]["options"] == (("a", "a"), ("b", "b"))
