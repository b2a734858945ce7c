"""Tables about a run."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from seqmtl.data.mixture import Share


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
