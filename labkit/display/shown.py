"""The base of every value that is made to be shown: one document, two forms."""

from __future__ import annotations

import abc

from labkit.display import document, html, text


class Shown(abc.ABC):
    """Give `document`; get a repr that stands alone, and HTML with the same facts.

    A frozen dataclass that derives from it says `repr=False`.
    """

    __slots__ = ()

    @abc.abstractmethod
    def document(self) -> document.Section:
        """Say everything that is to be seen, once."""

    def __repr__(self) -> str:
        return text.render(self.document())

    def _repr_html_(self) -> str:
        return html.render(self.document())
