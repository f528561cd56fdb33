"""The lab at a glance, and the button that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.widgets import controls, view

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.model import events


class StateBar(view.View):
    """State of every machine and its services. `value` is the status that was read last."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(
            f"Lab {lab.spec.name}",
            [
                controls.Button("look", "Look", "Ask every machine how it is"),
                controls.Button("up", "Bring up", "Start what is missing and mend what differs"),
            ],
            {"look": ("asking every machine", self._look), "up": ("bringing it up", self._up)},
        )
        self._lab = lab
        self.act("look")

    def _look(self) -> None:
        found = self._lab.status()
        self.show(found, f"{found.name} is {found.state}")

    def _up(self) -> None:
        report = self._lab.up(observer=self._tell)
        self.show(report.status, f"{report.status.name} is {report.status.state}")

    def _tell(self, event: events.Event) -> None:
        what = " ".join(part for part in (event.name, event.node, event.detail) if part)
        self.busy = f"{event.step} of {event.total}: {what}"
