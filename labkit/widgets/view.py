"""The base of every widget: controls above, a value below, and one thread that does the work.

A callback of a widget may run on any thread, while a cell runs or only when it has ended: that
differs from one ipykernel to the next. So nothing happens in a callback. It hands its action to
the widget's own thread and returns; results arrive as traits, which may be set from any thread.
Actions of one widget happen one after another, in order.

Errors are the widget's, too: an exception in a callback would be shown nowhere, or in some cell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from labkit import errors
from labkit.display import document, shown
from labkit.widgets import controls as form

_HERE = Path(__file__).parent
#: A first look takes a part of a second; a lab that does not answer shall not hold up a cell.
SETTLES_S = 5.0
_log = logging.getLogger(__name__)


class View(anywidget.AnyWidget):
    """Controls, a line that says what goes on, and a value.

    `act` does what a press of a button does. It returns at once; `.result()` waits, and raises
    what went wrong.
    """

    _esm = _HERE / "view.js"
    _css = _HERE / "view.css"

    label = traitlets.Unicode().tag(sync=True)
    controls = traitlets.List(traitlets.Dict()).tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
    #: The value's two forms, for where no kernel runs: they are saved with the notebook.
    still = traitlets.Dict().tag(sync=True)
    #: What is being done right now; empty: nothing.
    busy = traitlets.Unicode().tag(sync=True)
    #: What was done last, in a sentence.
    said = traitlets.Unicode().tag(sync=True)
    #: So many messages of the browser have arrived: it waits for a sign that the kernel lives.
    heard = traitlets.Int(0).tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, label: str, shows: Sequence[form.Control], actions: Mapping[str, Action]
    ) -> None:
        still = _still(_Nothing(label))
        super().__init__(label=label, controls=form.to_json(shows), still=still)
        self.value: shown.Shown | None = None
        self._actions = dict(actions)
        self._last: futures.Future[None] | None = None
        self._thread = futures.ThreadPoolExecutor(1, thread_name_prefix=f"labkit {label}")
        self.on_msg(self._on_message)

    def act(self, action: str, **values: Any) -> futures.Future[None]:
        """Do what the control of that action does, with these values of the other controls."""
        self._last = self._thread.submit(self._perform, action, values)
        return self._last

    def show(self, value: shown.Shown, said: str, html: str = "") -> None:
        """Show a value, by its own HTML or by a livelier one with the same facts."""
        with self.hold_trait_notifications():
            self.keep(value, said)
            self.html = html or value._repr_html_()

    def keep(self, value: shown.Shown, said: str) -> None:
        """Have a value that the controls show already: it is drawn only where there are none."""
        self.value, self.said = value, said
        self.still = _still(value)

    def close(self) -> None:
        """End the widget and its thread; what it does right now comes to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        self.heard += 1
        self.act(content["action"], **content["values"])

    def _perform(self, action: str, values: Mapping[str, Any]) -> None:
        doing, perform = self._actions[action]
        self.error, self.busy = "", doing
        try:
            perform(**values)
        except errors.LabkitError as error:
            self.error = f"{error.message}; {error.hint}" if error.hint else error.message
            raise
        except Exception as error:
            _log.exception("%s: %s", self.label, action)
            self.error = f"a fault in labkit: {error!r}"
            raise
        finally:
            self.busy = ""

    def __repr__(self) -> str:
        return str(self.still["text/plain"])

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        """The widget, and beside it the value's two forms, for where no kernel runs.

        They are those of the moment when the cell ran. `contents` puts the last ones in their
        place when the notebook is saved.
        """
        if self._last:
            futures.wait([self._last], SETTLES_S)
        made = super()._repr_mimebundle_(**arguments)
        if made is None:
            return None
        data, metadata = made if isinstance(made, tuple) else (made, {})
        return {**data, **self.still}, metadata


@dataclass(frozen=True, slots=True, repr=False)
class _Nothing(shown.Shown):
    """What a widget has to show before its first value."""

    label: str

    def document(self) -> document.Section:
        return document.Section(f"{self.label}: nothing to show yet", ())


def _still(value: shown.Shown) -> dict[str, str]:
    again = "<p><em>Seen last. Run the cell again to have its buttons back.</em></p>"
    return {"text/plain": repr(value), "text/html": value._repr_html_() + again}


#: What to say while it happens, and what to do with the values of the controls.
Action = tuple[str, Callable[..., object]]
