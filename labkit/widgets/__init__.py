"""Controls for notebooks. They start things and watch them; what they show are labkit's own values.

>>> from labkit import widgets  # doctest: +SKIP
>>> widgets.Chains(lab, "app1")  # doctest: +SKIP

Whatever a widget does, one call of `Lab` does as well, and the cell below it makes that call: a
notebook never needs a click. The last value is the widget's `value`, and it is what is seen where
no kernel runs: as text, and as HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.widgets.chains import Chains
    from labkit.widgets.player import Player
    from labkit.widgets.question import Question
    from labkit.widgets.service_form import ServiceForm
    from labkit.widgets.state_bar import StateBar
    from labkit.widgets.traffic import Traffic

__all__ = ["Chains", "Player", "Question", "ServiceForm", "StateBar", "Traffic"]

_HOMES = {
    "Chains": "chains",
    "Player": "player",
    "Question": "question",
    "ServiceForm": "service_form",
    "StateBar": "state_bar",
    "Traffic": "traffic",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"labkit.widgets.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'labkit.widgets' has no attribute {name!r}")
