"""A layer that sends gradients back with the other sign."""

from typing import Any

import torch
from torch import Tensor


class GradientReversal(torch.autograd.Function):
    """The identity, whose gradient is that of ``-scale * x`` (Ganin and Lempitsky 2015, section 3)."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, scale: float) -> Tensor:
        """``states`` themselves."""
        ctx.scale = scale
        return states.view_as(states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """``-scale`` times the gradient that comes."""
        return -ctx.scale * gradients[0], None


def reverse_gradient(states: Tensor, *, scale: float) -> Tensor:
    """``states``, such that what made them learns the opposite of what reads them, ``scale`` times as strongly."""
    return GradientReversal.apply(states, scale)
