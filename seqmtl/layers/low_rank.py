"""Updates of a linear map that differ from word to word.

I inputs and D outputs of the map, Z its rank, M hidden units, ``...`` positions.
"""

import torch
from torch import Tensor, nn


class ScaledLowRank(nn.Module):
    """What ``W + P diag(z) Q`` gives beside ``W``; 0 at first."""

    def __init__(self, in_features: int, out_features: int, *, rank: int) -> None:
        """Beside a map of ``in_features`` to ``out_features``."""
        super().__init__()
        self.left = nn.Parameter(torch.empty(out_features, rank))  # P
        self.right = nn.Parameter(torch.empty(rank, in_features))  # Q
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As LoRA (Hu et al. 2022): one factor random, the other 0."""
        nn.init.xavier_uniform_(self.right)
        nn.init.zeros_(self.left)

    def forward(self, inner: Tensor, scales: Tensor) -> Tensor:
        """``[..., I]`` and z, ``[..., Z]``, to ``[..., D]``."""
        return ((inner @ self.right.T) * scales) @ self.left.T

    def norms(self, scales: Tensor) -> Tensor:
        """How large the update is, ``||P diag(z) Q||_F``: ``[..., Z]`` to ``[...]``."""
        gram = (self.left.T @ self.left) * (self.right @ self.right.T)  # [Z, Z]
        return torch.einsum("...z,zy,...y->...", scales, gram, scales).clamp_min(0.0).sqrt()


class ScaleNetwork(nn.Module):
    """A small network that says z of a state; near 1 at first."""

    def __init__(self, in_features: int, *, hidden: int, rank: int) -> None:
        """``hidden`` is M."""
        super().__init__()
        self.reader = nn.Linear(in_features, hidden)
        self.scales = ShiftedLinear(hidden, rank)

    def forward(self, states: Tensor) -> Tensor:
        """``[..., D]`` to ``[..., Z]``."""
        return self.scales(self.reader(states).tanh())


class ShiftedLinear(nn.Linear):
    """A linear map whose bias starts at 1."""

    def reset_parameters(self) -> None:
        """As a linear map, but for the bias."""
        super().reset_parameters()
        nn.init.ones_(self.bias)
