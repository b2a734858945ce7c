"""What a person watches while a model trains."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Watch:
    """A progress bar with the loss of each task beside it."""

    def __init__(self, progress: Progress, bar: TaskID) -> None:
        """Move ``bar`` of ``progress``."""
        self._progress = progress
        self._bar = bar

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self._progress.advance(self._bar, count)

    def show(self, losses: Mapping[str, float]) -> None:
        """Show the latest losses."""
        text = "  ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
        self._progress.update(self._bar, losses=text)


@contextmanager
def watch(console: Console, title: str, *, total: int) -> Iterator[Watch]:
    """A progress bar for ``total`` things; it leaves nothing behind when the output is no terminal."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Watch(progress, progress.add_task(title, total=total, losses=""))
