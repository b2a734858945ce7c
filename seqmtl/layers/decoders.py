"""K parallel linear decoders as one computation.

K decoders, H features, M hidden units, L labels; ``...`` any leading dimensions.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmtl.kernels.linear import linear


class ParallelLinear(nn.Module):
    """K linear maps of the same input, one matrix product whatever K is."""

    def __init__(self, in_features: int, out_features: int, *, decoders: int) -> None:
        """K maps from ``in_features`` to ``out_features``."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(decoders, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(decoders, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``nn.Linear`` does, each decoder on its own."""
        bound = 1.0 / math.sqrt(self.weight.shape[-1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """``[..., H]`` to ``[K, ..., L]``."""
        decoders, labels, _ = self.weight.shape
        joined = linear(features, self.weight.flatten(0, 1), self.bias.flatten())  # [..., K * L]
        return joined.unflatten(-1, (decoders, labels)).movedim(-2, 0)

    def each(self, features: Tensor) -> Tensor:
        """``[K, ..., H]``, an input per decoder, to ``[K, ..., L]``."""
        flat = features.flatten(1, -2)  # [K, n, H]
        return torch.baddbmm(self.bias[:, None], flat, self.weight.mT).unflatten(1, features.shape[1:-1])


class Scorer(nn.Module):
    """K decoders from features to label scores: linear, or with one hidden layer each."""

    def __init__(self, in_features: int, labels: int, *, hidden: int | None, decoders: int, dropout: float) -> None:
        """``hidden`` units between features and scores; None: none."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.inner = None if hidden is None else ParallelLinear(in_features, hidden, decoders=decoders)
        self.outer = ParallelLinear(in_features if hidden is None else hidden, labels, decoders=decoders)

    def forward(self, features: Tensor) -> Tensor:
        """``[..., H]`` to ``[K, ..., L]``."""
        features = self.dropout(features)
        if self.inner is None:
            return self.outer(features)
        return self.outer.each(self.dropout(F.gelu(self.inner(features))))
