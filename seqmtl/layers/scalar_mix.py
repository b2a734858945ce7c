"""A learned mixture of layers."""

import torch
from torch import Tensor, nn


class ScalarMix(nn.Module):
    """``gamma * sum_k softmax(s)_k h_k`` (Peters et al. 2018, equation 1)."""

    def __init__(self, layers: int) -> None:
        """Mix ``layers`` tensors, at first with equal weights."""
        super().__init__()
        self.weights = nn.Parameter(torch.empty(layers))
        self.gamma = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Equal weights, gamma 1."""
        nn.init.zeros_(self.weights)
        nn.init.ones_(self.gamma)

    def shares(self) -> Tensor:
        """What each layer is multiplied by, gamma included."""
        return self.gamma * self.weights.softmax(dim=0)

    def forward(self, layers: list[Tensor]) -> Tensor:
        """Tensors of one shape to one of that shape."""
        shares = self.weights.softmax(dim=0)
        mixed = sum(
            (share * layer for share, layer in zip(shares, layers, strict=True)), start=torch.zeros_like(layers[0])
        )
        return self.gamma * mixed
