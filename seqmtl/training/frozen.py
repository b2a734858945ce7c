"""Decoders that do not learn, though they share tensors with others that do.

K decoders.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seqmtl.training.dec_update import moments


def freeze_all_but_first(parameters: Sequence[nn.Parameter]) -> None:
    """Cut the gradients ``[K, ...]`` of all decoders but the first; what they pass to the encoder stays."""

    def of_first(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[0] = gradient[0]
        return kept

    for parameter in parameters:
        parameter.register_hook(of_first)


def rest_without_gradient(parameters: Sequence[nn.Parameter], optimizer: Optimizer) -> None:
    """In each step keep the decoders of ``parameters`` ``[K, ...]`` without a gradient from decay and old moments.

    An optimiser skips a tensor without a gradient, but not a part of one.
    """
    before: list[tuple[Tensor, Tensor, Tensor]] = []

    def note(optimizer: Optimizer, *_: object) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                idle = (parameter.grad == 0).flatten(1).all(dim=1).view(-1, *[1] * (parameter.ndim - 1))  # [K, 1, ...]
                before.extend(
                    (part, part.detach().clone(), idle) for part in (parameter, *moments(optimizer, parameter))
                )

    @torch.no_grad()
    def put_back(*_: object) -> None:
        for part, old, idle in before:
            part.copy_(torch.where(idle, old, part))
        before.clear()

    optimizer.register_step_pre_hook(note)
    optimizer.register_step_post_hook(put_back)
