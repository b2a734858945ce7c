"""The directions of a Meta-LSTM layer, apart and together again.

K tasks, R directions, B sentences, T words. Weights are those of ``MetaWeights`` and ``BasicWeights`` in a row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm.direction import Order, Parameters
from seqmtl.kernels.reversal import reversal


def by_direction(weights: Sequence[Tensor | None]) -> list[Parameters]:
    """Those of a layer, direction by direction."""
    *meta, left, right, bias = weights
    assert left is not None
    assert right is not None
    assert bias is not None
    return [
        Parameters(
            *(None if part is None else part[min(number, len(part) - 1)] for part in meta),  # type: ignore[arg-type]
            left=left[:, number],
            right=right[:, number],
            generated_bias=bias[:, number],
        )
        for number in range(left.shape[1])
    ]


def orders(mask: Tensor) -> tuple[Order, Order]:
    """From left to right, and each sentence reversed within its own length."""
    batch, words = mask.shape
    sentences = torch.arange(batch, device=mask.device)[:, None]
    positions = torch.arange(words, device=mask.device).expand_as(mask)
    forth, back = (
        Order(mask, (sentences * words + read).T.flatten(), (read * batch + sentences).flatten())
        for read in (positions, reversal(mask))
    )
    return forth, back


def room_for_gradients(weights: Sequence[Tensor | None], n_directions: int) -> list[Tensor | None]:
    """Memory for the gradients of ``weights``, one for each direction also of what the directions share."""
    return [
        None if part is None else torch.empty_like(part if number > 2 else part.expand(n_directions, *part.shape[1:]))
        for number, part in enumerate(weights)
    ]


def gathered(grads: Sequence[Tensor | None], weights: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients of ``weights``: those of what the directions share are summed."""
    return [
        grad.sum(0, keepdim=True) if grad is not None and part is not None and len(part) < len(grad) else grad
        for grad, part in zip(grads, weights, strict=True)
    ]
