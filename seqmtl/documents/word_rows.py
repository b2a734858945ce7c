"""Words with their tags beneath, in rows as wide as the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

Column = tuple[str, ...]
"""A word and what stands beneath it."""

_GAP = 2


@dataclass(frozen=True)
class WordRows:
    """A renderable of columns, all of the same height; the first line of each is the word, the others are tags."""

    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns side by side as fit."""
        for index, row in enumerate(_rows(self.columns, options.max_width)):
            if index:
                yield Text()
            for line, cells in enumerate(zip(*row, strict=True)):
                padded = [set_cell_size(cell, width) for cell, width in zip(cells, map(_width, row), strict=True)]
                yield Text((" " * _GAP).join(padded).rstrip(), style="dim" if line else "", overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Anything from the widest column to all of them side by side."""
        widths = [_width(column) for column in self.columns]
        total = sum(widths) + _GAP * (len(widths) - 1)
        return Measurement(max(widths), total).with_maximum(options.max_width)


def _width(column: Column) -> int:
    """The width in cells of the terminal, of which a Chinese character or an emoji takes two."""
    return max(map(cell_len, column))


def _rows(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    row: list[Column] = []
    used = 0
    for column in columns:
        if row and used + _width(column) > width:
            yield row
            row, used = [], 0
        row.append(column)
        used += _width(column) + _GAP
    if row:
        yield row
