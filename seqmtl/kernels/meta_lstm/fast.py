"""The Meta-LSTM with all tasks in one step and the directions side by side; its gradient is written out.

K tasks, R directions, I inputs (1 for all tasks, or K), B sentences, T words, D inputs, H size of the Basic-LSTM, Z of
the meta vector.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm import direction, layer
from seqmtl.kernels.meta_lstm.direction import Parameters
from seqmtl.kernels.meta_lstm.recurrence import Trace, Weights
from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights
from seqmtl.kernels.parallel import each
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
        parameters, orders = layer.by_direction(weights), layer.orders(mask)
        n_tasks, _, n_hidden, n_z = parameters[0].left.shape
        hidden = inputs.new_empty(n_tasks, *mask.shape, len(parameters), n_hidden)
        vectors = inputs.new_empty(n_tasks, len(parameters), *mask.shape, n_z)
        work = list(zip(orders, parameters, hidden.unbind(3), vectors.unbind(1), strict=False))
        run = _scripts()[0]
        saved = each(lambda one: run(inputs, one[0], one[1], z_offset, one[2], one[3]), work, device=inputs.device)
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
        grads = layer.room_for_gradients(weights, n_directions)
        to_inputs = mask.new_empty(n_directions, *ctx.shape, dtype=grad_outputs[0].dtype)
        given = grad_outputs[0].unflatten(3, (n_directions, -1)).unbind(3)
        width = len(saved) // n_directions
        saved = [saved[start : start + width] for start in range(0, len(saved), width)]
        work = list(zip(layer.orders(mask), saved, given, to_inputs, layer.by_direction(grads), strict=False))
        run, n_weights = _scripts()[1], len(Weights._fields)

        def back(one: Any) -> None:
            order, (read, *parts), grad, inputs, into = one
            run(read, order, Weights(*parts[:n_weights]), Trace(*parts[n_weights:]), grad, inputs, into)

        each(back, work, device=mask.device)
        return to_inputs.sum(0), None, None, *layer.gathered(grads, weights)


@cache
def _scripts() -> tuple[Any, Any]:
    return scripted(direction.forward), scripted(direction.backward)
