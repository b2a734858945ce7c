"""``F.linear`` by the faster library.

N rows, I inputs, O outputs; ``...`` any leading dimensions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqmtl.kernels.plain import is_plain_float32
from seqmtl.kernels.products import onednn_is_there, product

# With fewer rows or multiplications oneDNN does not earn what it takes to call it (two cores, AMD EPYC).
_FEWEST_ROWS = 4
_FEWEST_MULTIPLICATIONS = 2**20


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As ``F.linear``; of float32 on a CPU by oneDNN, forth and back, where that is faster.

    On processors that are not Intel's it takes half the time of MKL, which torch calls, from some 30 rows on; see
    ``kernels/products.py``. The results differ by the order in which numbers are added up.

    Left to torch are other dtypes and devices, mixed precision, few rows, and all that ``kernels/plain.py`` names:
    ``torch.compile`` finds oneDNN by itself, and ``torch.func`` and forward derivatives know no rule for this one. The
    gradient has a gradient, by torch's products.
    """
    if not _is_worth_it(input, weight, bias):
        return F.linear(input, weight, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (input, weight, bias)):
        return _Linear.apply(input, weight, bias)  # pyright: ignore[reportReturnType]
    return _forward(input, weight, bias)


def _is_worth_it(states: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    if not onednn_is_there or torch.is_autocast_enabled("cpu"):
        return False
    if not is_plain_float32(states, weight, *(() if bias is None else (bias,))):
        return False
    # oneDNN reads a bias as one run of numbers.
    if bias is not None and (bias.shape != weight.shape[:1] or not bias.is_contiguous()):
        return False
    if weight.ndim != 2 or states.shape[-1:] != weight.shape[1:]:  # torch has an error for it
        return False
    multiplications = states.numel() * len(weight)
    return multiplications >= max(_FEWEST_MULTIPLICATIONS, _FEWEST_ROWS * weight.numel())


def _forward(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """``[..., I]`` to ``[..., O]``."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        to_states, to_weight, _ = ctx.needs_input_grad
        # A frozen weight asks for no states: those of an encoder's frozen blocks would be most of the memory.
        ctx.save_for_backward(states if to_weight else None, weight if to_states else None)
        ctx.shapes = states.shape, weight.shape
        return _forward(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        states, weight = ctx.saved_tensors
        (grad,), (shape, (outputs, inputs)) = grad_outputs, ctx.shapes
        multiply = torch.matmul if torch.is_grad_enabled() else product  # a gradient that is to have a gradient
        rows = grad.reshape(-1, outputs)  # [N, O]
        to_states, to_weight, to_bias = ctx.needs_input_grad
        return (
            multiply(rows, weight).view(shape) if to_states else None,
            multiply(rows.mT, states.reshape(-1, inputs)) if to_weight else None,
            rows.sum(0) if to_bias else None,
        )
