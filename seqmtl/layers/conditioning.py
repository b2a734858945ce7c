"""Ways to tell a network which task it works for.

M tasks, Z size of a task's vector, B sentences, T words, D features.
"""

import torch
from torch import Tensor, nn


class Concatenation(nn.Module):
    """``[h; z]``; under a linear map it is ``W h + V z``, a bias per task."""

    def __init__(self, features: int, *, task_size: int) -> None:
        """For states of ``features``."""
        super().__init__()
        self.out_features = features + task_size

    def forward(self, states: Tensor, tasks: Tensor) -> Tensor:
        """``[B, T, D]`` and ``[M, Z]`` to ``[M, B, T, D + Z]``."""
        shape = (len(tasks), *states.shape[:2], -1)
        return torch.cat((states.expand(shape), tasks[:, None, None].expand(shape)), dim=-1)


class Gate(nn.Module):
    """``squash(W z + b) * h``."""

    def __init__(self, features: int, *, task_size: int, squash: nn.Module, start: float) -> None:
        """For states of ``features``; before ``squash`` every gate is ``start`` at first."""
        super().__init__()
        self.gate = TaskMap(task_size, features, start=start)
        self.squash = squash
        self.out_features = features

    def gates(self, tasks: Tensor) -> Tensor:
        """``[M, Z]`` to ``[M, D]``."""
        return self.squash(self.gate(tasks))

    def forward(self, states: Tensor, tasks: Tensor) -> Tensor:
        """``[B, T, D]`` and ``[M, Z]`` to ``[M, B, T, D]``."""
        return self.gates(tasks)[:, None, None] * states


class FiLM(nn.Module):
    """``gamma(z) * h + beta(z)`` (Perez et al. 2018, equation 2), with linear gamma and beta that start at 1 and 0."""

    def __init__(self, features: int, *, task_size: int) -> None:
        """For states of ``features``."""
        super().__init__()
        self.gamma = TaskMap(task_size, features, start=1.0)
        self.beta = TaskMap(task_size, features, start=0.0)
        self.out_features = features

    def forward(self, states: Tensor, tasks: Tensor) -> Tensor:
        """``[B, T, D]`` and ``[M, Z]`` to ``[M, B, T, D]``."""
        return self.gamma(tasks)[:, None, None] * states + self.beta(tasks)[:, None, None]


class TaskMap(nn.Module):
    """``W z + b`` that starts as a constant: W is 0."""

    def __init__(self, task_size: int, features: int, *, start: float) -> None:
        """Every output is ``start`` at first."""
        super().__init__()
        self.start = start
        self.weight = nn.Parameter(torch.empty(features, task_size))
        self.bias = nn.Parameter(torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The constant."""
        nn.init.zeros_(self.weight)
        nn.init.constant_(self.bias, self.start)

    def forward(self, tasks: Tensor) -> Tensor:
        """``[M, Z]`` to ``[M, D]``."""
        return nn.functional.linear(tasks, self.weight, self.bias)
