"""A document as plain text that stands alone: in a terminal, a log, a mail, a screen reader."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.display import document, table

INDENT = "  "


def render(section: document.Section, *, width: int = table.WIDTH) -> str:
    """Draw `section`: its heading, and what is under it two columns to the right."""
    return "\n".join(_section(section, width))


def _section(section: document.Section, width: int) -> Iterator[str]:
    yield from table.wrap(table.clean(section.heading), width)
    for index, block in enumerate(section.blocks):
        if index and _stands_apart(block, section.blocks[index - 1]):
            yield ""
        yield from (f"{INDENT}{line}".rstrip() for line in _block(block, width - len(INDENT)))


def _stands_apart(block: document.Block, before: document.Block) -> bool:
    """Paragraphs follow each other closely; a table or a section has air around it."""
    return not (isinstance(block, document.Text) and isinstance(before, document.Text))


def _block(block: document.Block, width: int) -> Iterator[str]:
    match block:
        case document.Section():
            yield from _section(block, width)
        case document.Table():
            yield from _table(block, width)
        case document.Items():
            for item in block.texts:
                first, *more = table.wrap(table.clean(item), width - len(INDENT))
                yield from (f"* {first}", *(f"{INDENT}{line}" for line in more))
        case document.Code():
            yield from (table.clean(line) for line in block.lines)
        case _:
            yield from table.wrap(table.clean(str(block.text)), width)


def _table(block: document.Table, width: int) -> Iterator[str]:
    if not block.rows:
        yield f"{block.caption}: {block.empty}" if block.caption else block.empty
        return
    if block.caption:
        yield table.clean(block.caption)
    cut = len(block.columns) - block.long_last
    drawn = table.lay_out(block.columns[:cut], [row[:cut] for row in block.rows], width=width)
    longs = ["", *("".join(map(str, row[cut:])) for row in block.rows)]
    for lines, long in zip(drawn, longs, strict=True):
        yield from lines
        if long:
            inner = table.wrap(table.clean(long), width - len(INDENT))
            yield from (f"{INDENT}{line}" for line in inner)
