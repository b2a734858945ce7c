"""K linear maps of one input, each under a dropout mask and a rate of its own, without K copies of the input.

Letters: K decoders, J = 1 (an input for all) or K (one for each), n rows, H inputs, L outputs.

The decoders go one after the other through a buffer of the size of one input, which stays in the cache; only masks are
kept for the backward pass, a byte per unit. As one batched product of dropped copies it takes twice the time on a CPU
and more than five times the memory. The scale of inverted dropout goes into the weights, of which there are fewer.
"""

from typing import Any

import torch
from torch import Tensor

from seqmtl.kernels.dropout import LEVELS, keep
from seqmtl.kernels.linear import linear
from seqmtl.kernels.products import product


def dropped_linear(features: Tensor, weight: Tensor, bias: Tensor, rates: Tensor) -> Tensor:
    """Return ``dropout_k(x) W_k^T + b_k`` for each decoder k, with inverted dropout (Srivastava et al. 2014).

    Computes in the dtype of ``features``. The gradient can be taken once, not twice.

    Args:
        features: [J, n, H].
        weight: [K, L, H].
        bias: [K, L].
        rates: of dropout, below 1, in steps of 2^-16; [K].

    Returns:
        [K, n, L].
    """
    dropped = (rates.float() * LEVELS).round()
    return _DroppedLinear.apply(features, weight, bias, dropped)  # pyright: ignore[reportReturnType]


class _DroppedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, dropped: Tensor) -> Tensor:
        scaled, biases = _scaled(weight, dropped).to(features.dtype), bias.to(features.dtype)
        kept = torch.empty(len(weight), *features.shape[1:], dtype=torch.bool, device=features.device)  # [K, n, H]
        # A row's scores by all decoders lie side by side, as one product of all decoders leaves them.
        scores = features.new_empty(features.shape[1], *weight.shape[:2]).movedim(1, 0)  # [K, n, L]
        buffer = torch.empty_like(features[0])
        for k, inputs in enumerate(features.expand_as(kept)):
            kept[k] = keep(inputs, dropped[k].int())
            torch.mul(inputs, kept[k], out=buffer)
            scores[k] = linear(buffer, scaled[k], biases[k])
        ctx.save_for_backward(features, weight, dropped, kept)
        return scores

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, dropped, kept = ctx.saved_tensors
        (grads,) = grad_outputs  # [K, n, L]
        scaled = _scaled(weight, dropped).to(features.dtype)
        to_features, to_weight = torch.zeros_like(features), torch.empty_like(scaled)
        buffer = torch.empty_like(features[0])
        for k, inputs in enumerate(features.expand_as(kept)):
            torch.mul(inputs, kept[k], out=buffer)
            to_weight[k] = product(grads[k].mT, buffer)
            to_features[k % len(features)] += product(grads[k], scaled[k]).mul_(kept[k])
        return to_features, _scaled(to_weight, dropped).to(weight.dtype), grads.sum(1).to(weight.dtype), None


def _scaled(weight: Tensor, dropped: Tensor) -> Tensor:
    """``weight`` [K, L, H] by which dropped inputs are multiplied, so that their mean is that of undropped ones."""
    return weight * (LEVELS / (LEVELS - dropped))[:, None, None]
