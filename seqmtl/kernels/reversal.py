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


def take(states: Tensor, positions: Tensor) -> Tensor:
    """States ``[B, T, D]`` at ``positions`` ``[B, T]``."""
    return states.gather(1, positions[..., None].expand_as(states))
