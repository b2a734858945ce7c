"""Tables about a run."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from seqmtl.data.mixture import Share


def mixture_table(shares: Sequence[Share], *, title: str) -> Table:
    """What an epoch draws from each corpus, beside the share that was asked for."""
    table = Table("corpus", title=title)
    for column in ("rows drawn", "of", "share", "asked"):
        table.add_column(column, justify="right")
    total = max(1, sum(share.drawn for share in shares))
    for share in shares:
        size = f"{share.size:,}" if share.size else "stream"
        table.add_row(Text(share.corpus), f"{share.drawn:,}", size, f"{share.drawn / total:.1%}", f"{share.asked:.1%}")
    return table
