"""Tables about a run."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor

from seqmtl.data.mixture import Share
from seqmtl.sharing.base import Coupling
from seqmtl.training.history import MetaIteration

MOST_COLUMNS = 40  # of a table whose numbers a terminal shows
NAME, NUMBER = 16, 8  # characters of the first and of any other column, with its borders


def mixture_table(shares: Sequence[Share], *, words: Mapping[str, int], title: str) -> Table:
    """What an epoch drew from each corpus, beside the share that was asked for, and the labelled words of each task."""
    caption = "labelled words: " + ", ".join(f"{task} {count:,}" for task, count in words.items())
    table = Table("corpus", title=title, caption=Text(caption))
    for column in ("rows drawn", "of", "share", "asked"):
        table.add_column(column, justify="right")
    total = max(1, sum(share.drawn for share in shares))
    for share in shares:
        size = f"{share.size:,}" if share.size else "stream"
        table.add_row(Text(share.corpus), f"{share.drawn:,}", size, f"{share.drawn / total:.1%}", f"{share.asked:.1%}")
    return table


def coupling_tables(coupling: Coupling, *, width: int) -> Iterator[Table]:
    """What a scheme has learned about its tasks, in tables of at most ``width`` characters; ``·`` is 0.

    Of a table with very many columns there is the range of each row.
    """
    beside = max(1, (width - NAME) // NUMBER)  # columns of a table
    for name, content in coupling.tables.items():
        if len(content.columns) > MOST_COLUMNS:
            ranges = torch.stack(content.values.aminmax(dim=1), dim=1)
            yield _numbers_table(f"{name}, {len(content.columns)} columns", content.rows, ("from", "to"), ranges)
            continue
        for first in range(0, len(content.columns), beside):
            some = slice(first, first + beside)
            yield _numbers_table(name, content.rows, content.columns[some], content.values[:, some])


def decoders_table(course: Sequence[MetaIteration]) -> Table:
    """How the decoders of each task did over the meta-iterations of a run, of which there is at least one."""
    table = Table("task", title=f"decoders over {len(course)} meta-iteration{'s' if len(course) > 1 else ''}")
    for column in ("decoder", "first cost", "last cost", "led", "dropout rate"):
        table.add_column(column, justify="right")
    first, last = course[0], course[-1]
    for task, costs in last.costs.items():
        for number, cost in enumerate(costs):
            led = sum(one.leaders[task] == number for one in course)
            rate = f"{last.rates[task][number]:.2f}" if task in last.rates else ""
            name = "" if number else task
            table.add_row(name, str(number + 1), f"{first.costs[task][number]:.4f}", f"{cost:.4f}", str(led), rate)
        table.add_section()
    return table


def _numbers_table(title: str, rows: Sequence[str], columns: Sequence[str], values: Tensor) -> Table:
    table = Table(title=title)
    table.add_column(no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for row, numbers in zip(rows, values.tolist(), strict=True):
        table.add_row(row, *(f"{number:z.2f}" if number else "·" for number in numbers))
    return table
