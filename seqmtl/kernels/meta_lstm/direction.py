"""One direction of a Meta-LSTM layer, from sentences to states and back; every function can be scripted.

K tasks, I inputs (1 for all tasks, or K), B sentences, T words, D inputs, H size of the Basic-LSTM, M of the Meta-LSTM,
Z of the meta vector.
"""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm import recurrence
from seqmtl.kernels.meta_lstm.recurrence import Gradient, Trace, Weights


class Order(NamedTuple):
    """The order in which a direction reads.

    Attributes:
        mask: True at real words, ``[B, T]``.
        sources: of what is read at (t, b), in B * T, ``[T * B]``.
        places: where (b, t) is read, in T * B, ``[B * T]``.
    """

    mask: Tensor
    sources: Tensor
    places: Tensor


class Parameters(NamedTuple):
    """Those of one direction.

    Attributes:
        gates: W_m, ``[4M, D + M + H]``.
        bias: b_m, ``[4M]``.
        projection: W_z, ``[Z, M]``, or None.
        left: P, ``[K, 4, H, Z]``.
        right: Q, ``[K, 4, Z, D + H]``.
        generated_bias: B, ``[K, 4, H, Z]``.
    """

    gates: Tensor
    bias: Tensor
    projection: Optional[Tensor]  # noqa: UP045  # TorchScript knows no other way to say it
    left: Tensor
    right: Tensor
    generated_bias: Tensor


def forward(
    inputs: Tensor, order: Order, parameters: Parameters, z_offset: float, hidden: Tensor, vectors: Tensor
) -> tuple[Tensor, Weights, Trace]:
    """Run over ``inputs``, ``[I, B, T, D]``.

    Args:
        inputs: states of words.
        order: of reading.
        parameters: of this direction.
        z_offset: what is added to z.
        hidden: becomes h of the basic cells, 0 where padded, ``[K, B, T, H]``.
        vectors: becomes z, 0 where padded, ``[K, B, T, Z]``.

    Returns:
        What was read, ``[I, T, B, D]``, and what else the gradient needs.
    """
    read = moved(inputs, order.sources)
    weights = weights_of(parameters, inputs.size(3))
    trace = recurrence.forward(read, weights, z_offset)
    hand_out(trace, order, hidden, vectors)
    return read, weights, trace


def hand_out(trace: Trace, order: Order, hidden: Tensor, vectors: Tensor) -> None:
    """Put h, ``[K, B, T, H]``, and z, ``[K, B, T, Z]``, where they belong, and 0 where padded."""
    n_hidden, n_z = hidden.size(3), vectors.size(3)
    padded = order.mask.logical_not().unsqueeze(2)
    hidden.copy_(moved(trace.states.narrow(1, 1, hidden.size(2)).narrow(3, 0, n_hidden), order.places))
    hidden.masked_fill_(padded, 0.0)
    vectors.copy_(moved(trace.factors.select(1, 0).narrow(3, n_z, n_z), order.places))
    vectors.masked_fill_(padded, 0.0)


def backward(
    read: Tensor, order: Order, weights: Weights, trace: Trace, grad: Tensor, inputs: Tensor, into: Parameters
) -> None:
    """From ``grad`` of h, ``[K, B, T, H]``, to those of ``inputs``, ``[I, B, T, D]``, and of the parameters, ``into``.

    ``read``, ``weights`` and ``trace`` are what ``forward`` returned.
    """
    found = recurrence.backward(read, weights, trace, taken_in(grad, order))
    spread(found, order, inputs, into)


def taken_in(grad: Tensor, order: Order) -> Tensor:
    """The gradient of h, ``[K, B, T, H]``, in the order of reading, ``[K, T, B, H]``; padding has none."""
    return moved(grad.masked_fill(order.mask.logical_not().unsqueeze(2), 0.0), order.sources)


def spread(found: Gradient, order: Order, inputs: Tensor, into: Parameters) -> None:
    """From the gradients of ``Weights`` to those of ``inputs``, ``[I, B, T, D]``, and of the parameters, ``into``."""
    inputs.copy_(moved(found.read, order.places))
    n_hidden, n_meta_gates, n_z = into.left.size(2), found.bias.size(0), into.left.size(3)
    n_meta = n_meta_gates // 4
    to_meta, to_right = found.of_state.split([n_meta_gates, 4 * n_z], dim=2)  # [K, H + M, .]
    into.gates.copy_(torch.cat([found.of_x, to_meta.sum(0).roll(n_meta, 0).mT], dim=1))
    into.bias.copy_(found.bias)
    to_projection, projection = into.projection, found.projection
    if to_projection is not None and projection is not None:
        to_projection.copy_(projection.sum(0).mT)
    right = torch.cat([found.right_of_x, to_right.narrow(1, 0, n_hidden).mT], dim=2)  # [K, 4Z, D + H]
    into.right.copy_(right.view_as(into.right))
    left, bias = found.generated.mT.unflatten(0, [-1, 4]).split([n_z, n_z], dim=3)  # [K, 4, H, Z]
    into.left.copy_(left)
    into.generated_bias.copy_(bias)


def weights_of(parameters: Parameters, n_inputs: int) -> Weights:
    """``parameters`` as the recurrence wants them."""
    n_tasks, _, n_hidden, _ = parameters.left.shape
    n_meta = parameters.bias.size(0) // 4
    of_x, of_meta, of_hidden = parameters.gates.split([n_inputs, n_meta, n_hidden], dim=1)
    right_of_x, right_of_hidden = parameters.right.flatten(1, 2).split([n_inputs, n_hidden], dim=2)
    to_meta = torch.cat([of_hidden, of_meta], dim=1).expand(n_tasks, -1, -1)  # [K, 4M, H + M]
    to_right = torch.nn.functional.pad(right_of_hidden, [0, n_meta])  # [K, 4Z, H + M]
    projection = parameters.projection
    if projection is not None:
        projection = projection.mT.expand(n_tasks, -1, -1)
    generated = torch.cat([parameters.left, parameters.generated_bias], dim=3).flatten(0, 1)  # [K * 4, H, 2Z]
    of_state = torch.cat([to_meta, to_right], dim=1).mT
    return Weights(of_x, parameters.bias, right_of_x, of_state, projection, generated.mT)


def moved(states: Tensor, places: Tensor) -> Tensor:
    """``[G, X, Y, .]`` to ``[G, Y, X, .]``, where item i of Y * X is item ``places[i]`` of X * Y."""
    return (
        states.flatten(1, 2)
        .index_select(1, places)
        .view(states.size(0), states.size(2), states.size(1), states.size(3))
    )
