"""Dropout that treats a sequence as one thing."""

import torch
from torch import Tensor, nn


class VariationalDropout(nn.Module):
    """One dropout mask per sequence, the same at every position (Gal and Ghahramani 2016)."""

    def __init__(self, probability: float) -> None:
        """Drop each feature of a whole sequence with ``probability``."""
        super().__init__()
        self.probability = probability

    def forward(self, states: Tensor) -> Tensor:
        """``[B, T, D]`` to ``[B, T, D]``; the identity in evaluation."""
        if not self.training or self.probability == 0.0:
            return states
        kept = torch.empty_like(states[:, :1]).bernoulli_(1.0 - self.probability)  # [B, 1, D]
        return states * (kept / (1.0 - self.probability))


class WordDropout(nn.Module):
    """Replaces whole words by the unknown word in training (Iyyer et al. 2015)."""

    def __init__(self, probability: float, *, unknown: int) -> None:
        """Replace a word's id by ``unknown`` with ``probability``."""
        super().__init__()
        self.probability = probability
        self.unknown = unknown

    def forward(self, ids: Tensor) -> Tensor:
        """``[B, T]`` to ``[B, T]``; padding (id 0) stays."""
        if not self.training or self.probability == 0.0:
            return ids
        dropped = torch.rand(ids.shape, device=ids.device) < self.probability
        return torch.where(dropped & (ids != 0), self.unknown, ids)
