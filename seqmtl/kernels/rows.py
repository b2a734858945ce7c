"""Rows of a table.

N rows, D columns.
"""

from torch import Tensor
from torch.nn import functional as F


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """``table[ids]``, and its gradient the same to the bit every time.

    The gradient of an index is added up by all threads of a CPU at once, in whichever order they come; that of an
    embedding by one thread for each row.

    Args:
        table: ``[N, D]``.
        ids: of rows, which may come any number of times, ``[...]``.

    Returns:
        ``[..., D]``.
    """
    return F.embedding(ids, table)
