"""One direction of a Meta-LSTM layer for all tasks, forward and backward; every function can be scripted.

K tasks, I inputs (1 for all tasks, or K), N = K / I tasks of an input, T words, B sentences, D inputs, H size of the
Basic-LSTM, M of the Meta-LSTM, Z of the meta vector, X any of these. Gates stand in the order g, i, f, o.

The weights W(z) are never built: ``W(z) v + b(z) = P (z * (Q v)) + B z = [P B] [z * (Q v); z]``. What W_m and Q make of
x is one product over all words, and for the meta cell it is the same for all tasks that read the same input.

A step is a few products and elementwise functions of ``[K, B, .]``, written into memory laid out before the loop; so is
a step of the gradient. The slopes of the gates are taken for all words at once before that, the gradients of the
weights by one product over all words after it.

A direction meets padding only after a sentence's last real word. What it computes there is handed to nobody and gets a
gradient of exactly 0, so nothing has to be carried through.
"""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from seqmtl.kernels.products import product, products


class Weights(NamedTuple):
    """The weights of one direction, as its steps want them.

    Attributes:
        of_x: what W_m has for x, ``[4M, D]``.
        bias: b_m, ``[4M]``.
        right_of_x: what Q of each task has for x, ``[K, 4Z, D]``.
        of_state: what W_m and Q have for h of both cells, basic first, ``[K, H + M, 4M + 4Z]``; Q reads the first.
        projection: W_z, ``[K, M, Z]``; None: z is the meta cell's state.
        generated: P above B of each gate, ``[K * 4, 2Z, H]``.
    """

    of_x: Tensor
    bias: Tensor
    right_of_x: Tensor
    of_state: Tensor
    projection: Optional[Tensor]  # noqa: UP045  # TorchScript knows no other way to say it
    generated: Tensor


class Trace(NamedTuple):
    """What a run leaves for its gradient.

    Attributes:
        below: the meta cell's gates after their functions, and Q v, ``[K, T, B, 4M + 4Z]``.
        gates: the basic cell's gates after their functions, ``[K, 4, T, B, H]``.
        factors: z * (Q v) beside z, ``[K, 4, T, B, 2Z]``.
        states: h of both cells, basic first, the start before all words, ``[K, T + 1, B, H + M]``.
        meta_memory: c of the meta cell, the start before all words, ``[K, T + 1, B, M]``.
        memory: c of the basic cell, the start before all words, ``[K, T + 1, B, H]``.
    """

    below: Tensor
    gates: Tensor
    factors: Tensor
    states: Tensor
    meta_memory: Tensor
    memory: Tensor


class Gradient(NamedTuple):
    """The gradients of what a direction reads, ``[I, T, B, D]``, and of its ``Weights``."""

    read: Tensor
    of_x: Tensor
    bias: Tensor
    right_of_x: Tensor
    of_state: Tensor
    projection: Optional[Tensor]  # noqa: UP045
    generated: Tensor


def forward(read: Tensor, weights: Weights, z_offset: float) -> Trace:
    """Run over what this direction reads, ``[I, T, B, D]``, word by word from 0."""
    below = projected(read, weights)
    n_tasks, words, batch, _ = below.shape
    n_z, n_hidden = weights.generated.size(1) // 2, weights.generated.size(2)
    # With room for one word more no step's gates are contiguous, so that torch multiplies those of one word as others.
    gates = below.new_empty([n_tasks, 4, words + 1, batch, n_hidden]).narrow(2, 0, words)
    factors = below.new_empty([n_tasks, 4, words, batch, 2 * n_z])
    states = below.new_zeros([n_tasks, words + 1, batch, weights.of_state.size(1)])
    n_meta = states.size(3) - n_hidden
    meta_memory = below.new_zeros([n_tasks, words + 1, batch, n_meta])
    memory = below.new_zeros([n_tasks, words + 1, batch, n_hidden])
    meta_gates, right = meta_part(below, n_z), right_part(below, n_z)
    one, projection = below.new_ones([]), weights.projection
    for t in range(words):
        pre, before, after = below.select(1, t), states.select(1, t), states.select(1, t + 1)
        for task in range(n_tasks):
            pre[task].add_(product(before[task], weights.of_state[task]))  # [B, 4M + 4Z]
        z = after.narrow(2, n_hidden, n_meta)  # [K, B, M]
        cell(meta_gates.select(2, t), meta_memory.select(1, t), meta_memory.select(1, t + 1), z, one)
        if projection is not None:
            z = torch.bmm(z, projection)  # [K, B, Z]
        z = (z + z_offset).unsqueeze(1)  # [K, 1, B, Z]
        both, gate = factors.select(2, t), gates.select(2, t)
        torch.mul(right.select(2, t), z, out=both.narrow(3, 0, n_z))
        both.narrow(3, n_z, n_z).copy_(z)
        torch.bmm(both.flatten(0, 1), weights.generated, out=gate.flatten(0, 1))  # [K * 4, B, H]
        cell(gate, memory.select(1, t), memory.select(1, t + 1), after.narrow(2, 0, n_hidden), one)
    return Trace(below, gates, factors, states, meta_memory, memory)


def backward(read: Tensor, weights: Weights, trace: Trace, grad: Tensor) -> Gradient:
    """From the gradient of h of the basic cell, ``[K, T, B, H]``."""
    n_tasks, words, batch, _ = trace.below.shape
    n_z, n_hidden = trace.factors.size(4) // 2, trace.gates.size(4)
    n_meta = trace.states.size(3) - n_hidden
    to_below, to_gates = torch.empty_like(trace.below), torch.empty_like(trace.gates)
    to_vectors = trace.below.new_empty([n_tasks, words, batch, n_z])
    meta_gates, right = meta_part(trace.below, n_z), right_part(trace.below, n_z)
    to_meta_gates, to_right = meta_part(to_below, n_z), right_part(to_below, n_z)
    meta_slope = slopes(meta_gates, trace.meta_memory, to_meta_gates)
    slope = slopes(trace.gates, trace.memory, to_gates)
    to_state = torch.zeros_like(trace.states.select(1, 0))  # [K, B, H + M]
    to_hidden, to_meta = to_state.narrow(2, 0, n_hidden), to_state.narrow(2, n_hidden, n_meta)
    carried, meta_carried = torch.zeros_like(to_hidden), torch.zeros_like(to_meta)
    to_both = trace.below.new_empty([n_tasks, 4, batch, 2 * n_z])
    to_products, to_plain = to_both.narrow(3, 0, n_z), to_both.narrow(3, n_z, n_z)
    vectors = trace.factors.select(1, 0).narrow(3, n_z, n_z)  # [K, T, B, Z]
    back, generated = weights.of_state.mT, weights.generated.mT
    projection = weights.projection
    for step in range(words):
        t = words - 1 - step
        gate, pre = to_gates.select(2, t), to_below.select(1, t)
        to_hidden.add_(grad.select(1, t))
        cell_gradient(gate, slope.select(1, t), trace.gates.select(2, t), carried, to_hidden)
        torch.bmm(gate.flatten(0, 1), generated, out=to_both.flatten(0, 1))
        torch.mul(to_products, vectors.select(1, t).unsqueeze(1), out=to_right.select(2, t))
        to_z = to_vectors.select(1, t)
        torch.sum(to_plain.add_(to_products.mul_(right.select(2, t))), dim=1, out=to_z)
        if projection is not None:
            to_meta.add_(torch.bmm(to_z, projection.mT))
        else:
            to_meta.add_(to_z)
        cell_gradient(
            to_meta_gates.select(2, t), meta_slope.select(1, t), meta_gates.select(2, t), meta_carried, to_meta
        )
        for task in range(n_tasks):
            to_state[task].copy_(product(pre[task], back[task]))
    return weight_gradients(read, weights, trace, to_below, to_gates, to_vectors)


def weight_gradients(
    read: Tensor, weights: Weights, trace: Trace, to_below: Tensor, to_gates: Tensor, to_vectors: Tensor
) -> Gradient:
    """What is left to do for all words at once, after the loop.

    Args:
        read: what was read, ``[I, T, B, D]``.
        weights: of this direction.
        trace: of its run.
        to_below: the gradient of the meta cell's gates before their functions, and of Q v, ``[K, T, B, 4M + 4Z]``.
        to_gates: of the basic cell's gates before their functions, ``[K, 4, T, B, H]``.
        to_vectors: of z, ``[K, T, B, Z]``.
    """
    words, n_hidden = read.size(1), trace.gates.size(4)
    n_meta = trace.states.size(3) - n_hidden
    before, flat = trace.states.narrow(1, 0, words).flatten(1, 2), to_below.flatten(1, 2)  # [K, T * B, .]
    factors, gates = (
        trace.factors.flatten(2, 3).flatten(0, 1),
        to_gates.flatten(2, 3).flatten(0, 1),
    )  # [K * 4, T * B, .]
    to_projection: Optional[Tensor] = None  # noqa: UP045
    if weights.projection is not None:
        after = trace.states.narrow(1, 1, words).narrow(3, n_hidden, n_meta).flatten(1, 2)
        to_projection = torch.bmm(after.mT, to_vectors.flatten(1, 2))
    to_read, to_of_x, to_bias, to_right_of_x = projected_gradient(read, weights, to_below)
    return Gradient(
        to_read,
        to_of_x,
        to_bias,
        to_right_of_x,
        products(before.mT, flat),
        to_projection,
        products(factors.mT, gates),
    )


def cell(gates: Tensor, before: Tensor, memory: Tensor, hidden: Tensor, one: Tensor) -> None:
    """An LSTM cell: ``c = g i + c_before f``, ``h = o tanh(c)``.

    Args:
        gates: before their functions, and left as they are after them, ``[K, 4, B, X]``.
        before: c of the word before, ``[K, B, X]``.
        memory: becomes c.
        hidden: becomes h.
        one: 1.
    """
    g, i, f, o = gates.unbind(1)
    # tanh(x) = 1 - 2 sigmoid(-2 x), which is four times faster than torch's tanh on a CPU.
    g.mul_(-2.0)
    gates.sigmoid_()
    torch.sub(one, g, alpha=2.0, out=g)
    torch.mul(f, before, out=memory)
    memory.addcmul_(g, i)
    torch.mul(memory, -2.0, out=hidden)
    hidden.sigmoid_()
    torch.addcmul(o, o, hidden, value=-2.0, out=hidden)


def slopes(gates: Tensor, memory: Tensor, out: Tensor) -> Tensor:
    """How c depends on g, i and f before their functions, and h on o and on c, for all words.

    Args:
        gates: after their functions, ``[K, 4, T, B, X]``.
        memory: c, the start before all words, ``[K, T + 1, B, X]``.
        out: becomes the first four, ``[K, 4, T, B, X]``.

    Returns:
        The last, ``[K, T, B, X]``.
    """
    g, i, f, o = gates.unbind(1)
    to_g, to_i, to_f, to_o = out.unbind(1)
    words = gates.size(2)
    squashed = memory.narrow(1, 1, words).mul(-2.0).sigmoid_().mul_(-2.0).add_(1.0)  # tanh(c)
    torch.ops.aten.tanh_backward(i, g, grad_input=to_g)  # i (1 - g^2)
    torch.ops.aten.sigmoid_backward(g, i, grad_input=to_i)  # g i (1 - i)
    torch.ops.aten.sigmoid_backward(memory.narrow(1, 0, words), f, grad_input=to_f)
    torch.ops.aten.sigmoid_backward(squashed, o, grad_input=to_o)
    return torch.ops.aten.tanh_backward(o, squashed, grad_input=squashed)


def cell_gradient(slope: Tensor, memory_slope: Tensor, gates: Tensor, carried: Tensor, hidden: Tensor) -> None:
    """The step of ``cell`` backward.

    Args:
        slope: of the gates, and becomes their gradient before their functions, ``[K, 4, B, X]``.
        memory_slope: of h by c, ``[K, B, X]``.
        gates: after their functions, ``[K, 4, B, X]``.
        carried: what the word after hands to c, and becomes what this one hands on, ``[K, B, X]``.
        hidden: the gradient of h, ``[K, B, X]``.
    """
    carried.addcmul_(hidden, memory_slope)
    slope.narrow(1, 0, 3).mul_(carried.unsqueeze(1))
    slope.select(1, 3).mul_(hidden)
    carried.mul_(gates.select(1, 2))


def projected(read: Tensor, weights: Weights) -> Tensor:
    """What W_m and Q make of x, with b_m: ``[I, T, B, D]`` to ``[K, T, B, 4M + 4Z]``."""
    n_meta_gates, n_right = weights.bias.size(0), weights.right_of_x.size(1)
    tasks = weights.right_of_x.size(0) // read.size(0)  # N
    maps = maps_of_x(weights, read.size(0)).mT
    rows = read.flatten(1, 2)
    parts: list[Tensor] = []
    for group in range(read.size(0)):
        whole = product(rows[group], maps[group]).unflatten(0, read.shape[1:3])  # [T, B, 4M + N * 4Z]
        by_meta, by_right = whole.split([n_meta_gates, tasks * n_right], dim=-1)
        by_meta.add_(weights.bias)
        if tasks == 1:
            parts.append(whole.unsqueeze(0))
        else:
            by_task = by_right.unflatten(-1, [tasks, n_right]).permute(2, 0, 1, 3)  # [N, T, B, 4Z]
            parts.append(torch.cat([by_meta.expand(tasks, -1, -1, -1), by_task], dim=-1))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def projected_gradient(read: Tensor, weights: Weights, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """From the gradient of ``projected``, those of ``read``, ``of_x``, ``bias`` and ``right_of_x``."""
    n_meta_gates, n_right = weights.bias.size(0), weights.right_of_x.size(1)
    tasks = weights.right_of_x.size(0) // read.size(0)  # N
    maps = maps_of_x(weights, read.size(0))
    rows = read.flatten(1, 2)
    to_read: list[Tensor] = []
    to_maps: list[Tensor] = []
    to_bias = torch.zeros_like(weights.bias)
    for group in range(read.size(0)):
        parts = grad.narrow(0, group * tasks, tasks)
        if tasks == 1:
            whole = parts[0]
        else:
            to_meta, to_right = parts.split([n_meta_gates, n_right], dim=-1)
            whole = torch.cat([to_meta.sum(0), to_right.permute(1, 2, 0, 3).flatten(2)], dim=-1)
        whole = whole.flatten(0, 1)  # [T * B, 4M + N * 4Z]
        to_bias.add_(whole.narrow(1, 0, n_meta_gates).sum(0))
        to_read.append(product(whole, maps[group]).view(read.shape[1:]))
        to_maps.append(product(whole.mT, rows[group]))
    to_of_x, to_right_of_x = torch.stack(to_maps).split([n_meta_gates, tasks * n_right], dim=1)
    return torch.stack(to_read), to_of_x.sum(0), to_bias, to_right_of_x.reshape_as(weights.right_of_x)


def maps_of_x(weights: Weights, inputs: int) -> Tensor:
    """W_m and the Q of the N tasks of each input, side by side, ``[I, 4M + N * 4Z, D]``."""
    right = weights.right_of_x.unflatten(0, [inputs, -1]).flatten(1, 2)
    return torch.cat([weights.of_x.expand(inputs, -1, -1), right], dim=1)


def meta_part(below: Tensor, n_z: int) -> Tensor:
    """The meta cell's gates of ``[K, T, B, 4M + 4Z]``, ``[K, 4, T, B, M]``."""
    return planes(below.narrow(3, 0, below.size(3) - 4 * n_z))


def right_part(below: Tensor, n_z: int) -> Tensor:
    """Q v of ``[K, T, B, 4M + 4Z]``, gate by gate, ``[K, 4, T, B, Z]``."""
    return planes(below.narrow(3, below.size(3) - 4 * n_z, 4 * n_z))


def planes(rows: Tensor) -> Tensor:
    """A view of ``[K, T, B, 4X]`` gate by gate, ``[K, 4, T, B, X]``."""
    return rows.unflatten(-1, [4, -1]).permute(0, 3, 1, 2, 4)
