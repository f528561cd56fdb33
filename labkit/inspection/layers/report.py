"""One layer of one node or of many, as one value that shows itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.display import document, shown
from labkit.inspection import schema
from labkit.inspection.layers import look, rows

SCHEMA, VERSION = "layer-inspection", 1
#: Too long for a column: drawn on lines of their own. The command is only in the data.
_LONG = {"text", "words", "purpose"}
_HIDDEN = {"command"}


@dataclass(frozen=True, slots=True)
class NodeLayer:
    """The lines of one node."""

    name: str
    trouble: str
    rows: tuple[rows.Row, ...]


@dataclass(frozen=True, slots=True, repr=False)
class LayerInspection(shown.Shown):
    """The lines of every node that was asked."""

    layer: str
    nodes: tuple[NodeLayer, ...]

    def to_json(self) -> dict[str, Any]:
        return schema.envelope(SCHEMA, VERSION, self)

    def document(self) -> document.Section:
        blocks = tuple(_node_section(self.layer, node) for node in self.nodes)
        of = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        return document.Section(f"{self.layer} of {of}", blocks)


def inspect_layer(looks: Iterable[look.Look], layer: str, *, chain: str = "") -> LayerInspection:
    """Put together what the nodes answered. Pure."""
    nodes = (
        NodeLayer(one.name, one.trouble, look.list_rows(one, layer, chain=chain)) for one in looks
    )
    return LayerInspection(layer, tuple(nodes))


def _node_section(layer: str, node: NodeLayer) -> document.Section:
    trouble = [document.Text(document.bad(node.trouble))] if node.trouble else []
    names = [field.name for field in dataclasses.fields(rows.LAYERS[layer])]
    short = [name for name in names if name not in _LONG | _HIDDEN]
    long = [name for name in names if name in _LONG]
    headings = tuple(name.replace("_", " ") for name in (*short, *(["in words"] if long else [])))
    drawn = [list(_cells(row, short, long)) for row in node.rows]
    table = document.Table(headings, drawn, empty=f"no {layer}", long_last=bool(long))
    return document.Section(f"{node.name}: {len(node.rows)}", (*trouble, table))


def _cells(row: rows.Row, short: list[str], long: list[str]) -> Iterator[document.Cell]:
    yield from (getattr(row, name) for name in short)
    if long:
        yield " : ".join(str(getattr(row, name)) for name in long if getattr(row, name))
