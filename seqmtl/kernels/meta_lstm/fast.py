"""The Meta-LSTM with all tasks in one step and the directions side by side; its gradient is written out.

K tasks, R directions, I inputs (1 for all tasks, or K), B sentences, T words, D inputs, H size of the Basic-LSTM, Z of
the meta vector.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm import direction
from seqmtl.kernels.meta_lstm.direction import Order, Parameters
from seqmtl.kernels.meta_lstm.recurrence import Trace, Weights
from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights
from seqmtl.kernels.parallel import each
from seqmtl.kernels.reversal import reversal
from seqmtl.kernels.scripting import scripted


def meta_lstm(
    inputs: Tensor, mask: Tensor, meta: MetaWeights, basic: BasicWeights, *, z_offset: float = 0.0
) -> MetaStates:
    """Run all tasks and directions together; see ``seqmtl.kernels.meta_lstm`` for the signature.

    The gradient can be taken once, not twice (``create_graph=True``).
    """
    hidden, vectors = _MetaLSTM.apply(inputs, mask, z_offset, *meta, *basic)  # pyright: ignore[reportGeneralTypeIssues]
    return MetaStates(hidden, vectors)


class _MetaLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, mask: Tensor, z_offset: float, *weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        parameters, orders = _by_direction(weights), _orders(mask)
        n_tasks, _, n_hidden, n_z = parameters[0].left.shape
        hidden = inputs.new_empty(n_tasks, *mask.shape, len(parameters), n_hidden)
        vectors = inputs.new_empty(n_tasks, len(parameters), *mask.shape, n_z)
        work = list(zip(orders, parameters, hidden.unbind(3), vectors.unbind(1), strict=False))
        run = _scripts()[0]
        saved = each(lambda one: run(inputs, one[0], one[1], z_offset, one[2], one[3]), work)
        ctx.save_for_backward(mask, *weights, *(part for read, own, trace in saved for part in (read, *own, *trace)))
        ctx.shape = inputs.shape
        ctx.mark_non_differentiable(vectors)
        return hidden.flatten(3), vectors  # [K, B, T, R * H], [K, R, B, T, Z]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # torch's once_differentiable would let a second derivative through as 0
        assert not torch.is_grad_enabled(), "this gradient has no gradient of its own: take meta_lstm of reference"
        mask, *rest = ctx.saved_tensors
        weights, saved = rest[: len(Parameters._fields)], rest[len(Parameters._fields) :]
        n_directions = weights[3].shape[1]
        # One for each direction also of what they share.
        grads = [
            None
            if part is None
            else torch.empty_like(part if number > 2 else part.expand(n_directions, *part.shape[1:]))
            for number, part in enumerate(weights)
        ]
        to_inputs = mask.new_empty(n_directions, *ctx.shape, dtype=grad_outputs[0].dtype)
        given = grad_outputs[0].unflatten(3, (n_directions, -1)).unbind(3)
        width = len(saved) // n_directions
        saved = [saved[start : start + width] for start in range(0, len(saved), width)]
        work = list(zip(_orders(mask), saved, given, to_inputs, _by_direction(grads), strict=False))
        run, n_weights = _scripts()[1], len(Weights._fields)

        def back(one: Any) -> None:
            order, (read, *parts), grad, inputs, into = one
            run(read, order, Weights(*parts[:n_weights]), Trace(*parts[n_weights:]), grad, inputs, into)

        each(back, work)
        shared = (
            None if grad is None else grad.sum(0, keepdim=True) if len(part) < n_directions else grad
            for grad, part in zip(grads[:3], weights[:3], strict=True)
        )
        return to_inputs.sum(0), None, None, *shared, *grads[3:]


@cache
def _scripts() -> tuple[Any, Any]:
    return scripted(direction.forward), scripted(direction.backward)


def _by_direction(weights: "tuple[Tensor | None, ...] | list[Tensor | None]") -> list[Parameters]:
    """Those of a layer, meta cell first, direction by direction."""
    *meta, left, right, bias = weights
    assert left is not None
    assert right is not None
    assert bias is not None
    return [
        Parameters(
            *(None if part is None else part[min(number, len(part) - 1)] for part in meta),  # type: ignore[arg-type]
            left=left[:, number],
            right=right[:, number],
            generated_bias=bias[:, number],
        )
        for number in range(left.shape[1])
    ]


def _orders(mask: Tensor) -> tuple[Order, Order]:
    """From left to right, and each sentence reversed within its own length."""
    batch, words = mask.shape
    sentences = torch.arange(batch, device=mask.device)[:, None]
    positions = torch.arange(words, device=mask.device).expand_as(mask)
    orders = [
        Order(mask, (sentences * words + read).T.flatten(), (read * batch + sentences).flatten())
        for read in (positions, reversal(mask))
    ]
    return orders[0], orders[1]
