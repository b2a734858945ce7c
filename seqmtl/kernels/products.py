"""Matrix products by the faster library.

B rows, N inputs, O outputs.

For float32 on a CPU, torch multiplies by MKL. On processors that are not Intel's, MKL leaves AVX-512 aside, and oneDNN,
which torch brings along for its LSTM, is faster by far. It has another merit: what it makes of a row does not depend on
how many rows there are.
"""

import torch
from torch import Tensor


def product(rows: Tensor, weights: Tensor) -> Tensor:
    """``[B, N] @ [N, O]``; has no gradient, and can be scripted."""
    if rows.is_cpu and rows.dtype == torch.float32 and rows.numel() > 0 and weights.numel() > 0:
        return _float32_product(rows, weights)
    return rows @ weights


def products(rows: Tensor, weights: Tensor) -> Tensor:
    """``[K, B, N] @ [K, N, O]``, pair by pair where ``product`` is the faster; the same in all else."""
    if rows.is_cpu and rows.dtype == torch.float32:
        return torch.stack([product(rows[pair], weights[pair]) for pair in range(rows.size(0))])
    return torch.bmm(rows, weights)


def _onednn_product(rows: Tensor, weights: Tensor) -> Tensor:
    # A single row is the one number of rows whose products oneDNN may add up in another order, so there are two.
    several = rows.expand(2, -1) if rows.size(0) == 1 else rows
    # Weights with gaps between their numbers, such as a part of a larger tensor, would take a thousand times as long.
    dense = weights if weights.is_contiguous() or weights.mT.is_contiguous() else weights.contiguous()
    # What torch.compile calls; there is no public name for it.
    value = torch.ops.mkldnn._linear_pointwise(several, dense.mT, None, "none", [], "")
    return value.narrow(0, 0, rows.size(0))


def _torch_product(rows: Tensor, weights: Tensor) -> Tensor:
    return rows @ weights


onednn_is_there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_float32_product = _onednn_product if onednn_is_there else _torch_product
