"""K parallel decoders as one computation.

K decoders, H features, M hidden units, L labels; ``...`` any leading dimensions.
"""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from seqmtl.kernels.dropped_linear import dropped_linear
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

    def dropped(self, features: Tensor, rates: Tensor) -> Tensor:
        """``[K, ..., H]``, or ``[1, ..., H]`` for all, each under its own dropout, to ``[K, ..., L]``."""
        scores = dropped_linear(features.flatten(1, -2), self.weight, self.bias, rates)
        return scores.unflatten(1, features.shape[1:-1])


class Scorer(nn.Module):
    """K decoders from features to label scores: linear, or with one hidden layer each.

    They see the same features under the same dropout masks, which makes one matrix product of them; unless each has
    dropout of its own.

    Attributes:
        rates: the dropout rate of each decoder, ``[K]``, saved with the parameters; None when they drop alike.
    """

    rates: Tensor | None

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        hidden: int | None,
        decoders: int,
        dropout: float,
        own_dropout: bool = False,
    ) -> None:
        """``hidden`` units between features and scores; None: none."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("rates", torch.empty(decoders) if own_dropout else None)
        self.inner = None if hidden is None else ParallelLinear(in_features, hidden, decoders=decoders)
        self.outer = ParallelLinear(in_features if hidden is None else hidden, labels, decoders=decoders)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All decoders drop alike."""
        if self.rates is not None:
            nn.init.constant_(self.rates, self.dropout.p)

    @property
    def decoders(self) -> int:
        """K."""
        return self.outer.weight.shape[0]

    def forward(self, features: Tensor) -> Tensor:
        """``[..., H]`` to ``[K, ..., L]``."""
        if self.training and self.rates is not None:
            return self._apart(features, self.rates)
        features = self.dropout(features)
        if self.inner is None:
            return self.outer(features)
        return self.outer.each(self._dropped_alike(F.gelu(self.inner(features))))

    def one(self, features: Tensor, *, decoder: int) -> Tensor:
        """``[..., H]`` to the scores of one decoder, ``[..., L]``, to the bit as if it were the only one."""
        if self.decoders == 1:
            return self(features)[0]
        # In memory of their own, since matrix products round by the address of what they read.
        alone = {name: values[decoder : decoder + 1].clone() for name, values in self.own().items()}
        return functional_call(self, alone, (features,))[0]

    def own(self) -> dict[str, Tensor]:
        """What each decoder has for itself, by name: parameters and rates, ``[K, ...]``."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def _apart(self, features: Tensor, rates: Tensor) -> Tensor:
        """``forward`` in training, when each decoder drops for itself."""
        if self.inner is None:
            return self.outer.dropped(features[None], rates)
        return self.outer.dropped(F.gelu(self.inner.dropped(features[None], rates)), rates)

    def _dropped_alike(self, hidden: Tensor) -> Tensor:
        """``[K, ..., M]`` under one mask for all decoders."""
        if len(hidden) == 1:
            return self.dropout(hidden)
        return hidden * self.dropout(torch.ones_like(hidden[:1]))
