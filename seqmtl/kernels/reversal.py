"""Right-padded sequences from right to left.

B sequences, T positions, D features.
"""

import torch
from torch import Tensor


def reversal(mask: Tensor) -> Tensor:
    """Positions that reverse each sequence within its own length and leave padding where it is, ``[B, T]``."""
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)  # [B, T]
    mirrored = mask.sum(dim=1, keepdim=True) - 1 - positions
    return torch.where(mask, mirrored, positions)


def pick(states: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """``states[first, second]`` of states ``[A, B, D]``, in whole rows, which a CPU copies faster than an index does.

    Args:
        states: ``[A, B, D]``.
        first: ids up to A, of a shape that broadcasts with that of ``second``.
        second: ids up to B.

    Returns:
        ``[..., D]``, contiguous.
    """
    rows = first * states.shape[1] + second  # [...]
    return states.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, -1)
