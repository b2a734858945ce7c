"""What a model must compute, and how fast a machine could.

A forward pass of n sub-words through a transformer block of width d and feed-forward width f takes
``2 n (4 d^2 + 2 d f)`` operations for its linear maps and ``4 n^2 d`` for attention; a linear head takes 2 for each
number of its matrices and word. Backward is twice that. Padding does not count, nor what is no matrix product: norms,
activations, dropout, the mix of layers, the sums of a CRF, the optimiser.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

FORWARD_AND_BACKWARD = 3
SIZE = 2048  # of the matrices


def encoder_flops(config: PreTrainedConfig, pieces: Sequence[int]) -> int:
    """Of a forward pass over sequences of so many real sub-words each."""
    d, f = config.hidden_size, config.intermediate_size
    linear = 2 * (4 * d * d + 2 * d * f)
    return config.num_hidden_layers * sum(n * linear + 4 * n * n * d for n in pieces)


def head_flops(heads: nn.Module, words: int) -> int:
    """Of a forward pass of heads of linear maps over so many real words; transitions of labels are none."""
    matrices = [p for name, p in heads.named_parameters() if name.endswith("weight") and p.ndim > 1]
    return 2 * words * sum(p.numel() for p in matrices)


class Products:
    """Large matrix products of fp32."""

    flops = 2 * SIZE**3

    def __init__(self, multiply: Callable[[Tensor, Tensor], Tensor]) -> None:
        """By ``multiply``."""
        self._sides = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
        self._multiply = multiply

    def __call__(self) -> None:
        """One product, of ``flops`` operations."""
        self._multiply(*self._sides)
