"""The Meta-LSTM on a GPU: its loops over words are kernels of Triton, in ``triton_loops``; the rest is torch's.

K tasks, R directions, I inputs (1 for all tasks, or K), C = R * K chains (the tasks of each direction), B sentences,
T words, D inputs, H size of the Basic-LSTM, M of the Meta-LSTM, Z of the meta vector.

As in the fast form, what the weights make of x is one product over all words, and so are the gradients of the weights.
Between the two all chains run at once, in one kernel.

Torch's CUDA builds bring Triton along, so it is no dependency of ours.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm import direction, layer, recurrence
from seqmtl.kernels.meta_lstm.direction import Parameters
from seqmtl.kernels.meta_lstm.recurrence import Trace, Weights
from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights

# Sentences of a program: as many as an instruction of the tensor cores takes. With fewer they would idle; with more
# there are fewer programs, and each reads all weights in any case.
ROWS = 16
# Tiles of weights are on their way while others are multiplied. With these sizes they take 80 KB of shared memory, and
# GPUs from the RTX 3000 on give a program 99.
TILES = {"ROWS": ROWS, "UNITS": 64, "INNER": 32, "num_stages": 3, "num_warps": 8}
# Triton 3.9 warns when nobody says whether a product and a sum may be rounded together.
OPTIONS = {"enable_fp_fusion": True}


def meta_lstm(
    inputs: Tensor, mask: Tensor, meta: MetaWeights, basic: BasicWeights, *, z_offset: float = 0.0
) -> MetaStates:
    """Run all tasks and directions together; see ``seqmtl.kernels.meta_lstm`` for the signature.

    Shorter numbers than float32 are computed with as float32. The gradient can be taken once, not twice
    (``create_graph=True``).
    """
    given = meta.gates.dtype
    dtype = torch.promote_types(given, torch.float32)
    weights = (None if part is None else part.to(dtype) for part in (*meta, *basic))
    hidden, vectors = _MetaLSTM.apply(inputs.to(dtype), mask, z_offset, *weights)  # pyright: ignore[reportGeneralTypeIssues]
    return MetaStates(hidden.to(given), vectors.to(given))


class _MetaLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, mask: Tensor, z_offset: float, *weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        parameters, orders = layer.by_direction(weights), layer.orders(mask)
        n_tasks, _, n_hidden, n_z = parameters[0].left.shape
        own = [direction.weights_of(each, inputs.size(3)) for each in parameters]
        below = [
            recurrence.projected(direction.moved(inputs, order.sources), each)
            for order, each in zip(orders, own, strict=False)
        ]
        trace = _forward(torch.cat(below), _Chains.of(own), z_offset)
        hidden = inputs.new_empty(n_tasks, *mask.shape, len(own), n_hidden)
        vectors = inputs.new_empty(n_tasks, len(own), *mask.shape, n_z)
        for each in zip(_by_direction(trace, n_tasks), orders, hidden.unbind(3), vectors.unbind(1), strict=False):
            direction.hand_out(*each)
        ctx.save_for_backward(inputs, mask, *weights, *trace)
        ctx.mark_non_differentiable(vectors)
        return hidden.flatten(3), vectors  # [K, B, T, R * H], [K, R, B, T, Z]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # torch's once_differentiable would let a second derivative through as 0
        assert not torch.is_grad_enabled(), "this gradient has no gradient of its own: take meta_lstm of reference"
        inputs, mask, *rest = ctx.saved_tensors
        weights, trace = rest[: len(Parameters._fields)], Trace(*rest[len(Parameters._fields) :])
        n_tasks, n_directions = weights[3].shape[:2]
        orders = layer.orders(mask)[:n_directions]
        own = [direction.weights_of(each, inputs.size(3)) for each in layer.by_direction(weights)]
        by_direction = grad_outputs[0].unflatten(3, (n_directions, -1)).unbind(3)
        given = [direction.taken_in(*each) for each in zip(by_direction, orders, strict=True)]
        found = _backward(torch.cat(given), _Chains.of(own), trace)
        grads = layer.room_for_gradients(weights, n_directions)
        to_inputs = inputs.new_empty(n_directions, *inputs.shape)
        parts = (orders, own, _by_direction(trace, n_tasks), _by_direction(found, n_tasks), layer.by_direction(grads))
        for number, (order, each, run, back, into) in enumerate(zip(*parts, strict=True)):
            read = direction.moved(inputs, order.sources)
            direction.spread(recurrence.weight_gradients(read, each, run, *back), order, to_inputs[number], into)
        return to_inputs.sum(0), None, None, *layer.gathered(grads, weights)


class _Chains(NamedTuple):
    """The weights of all chains, as the kernels read them.

    Attributes:
        of_state: what W_m and Q have for h of both cells, ``[C, 4M + 4Z, H + M]``.
        projection: W_z, ``[C, Z, M]``, or None.
        generated: P beside B of each gate, ``[C * 4, H, 2Z]``.
    """

    of_state: Tensor
    projection: Tensor | None
    generated: Tensor

    @classmethod
    def of(cls, directions: Sequence[Weights]) -> "_Chains":
        """Those of all directions."""
        projections = [each.projection.mT for each in directions if each.projection is not None]
        return cls(
            torch.cat([each.of_state.mT for each in directions]),
            torch.cat(projections) if projections else None,
            torch.cat([each.generated.mT for each in directions]),
        )

    def sizes(self) -> dict[str, int]:
        """H, M and Z."""
        n_hidden, n_both = self.generated.shape[1:]
        return {"H": n_hidden, "M": self.of_state.size(2) - n_hidden, "Z": n_both // 2}


class _Found(NamedTuple):
    """The gradients of what the loop computed at each word.

    Attributes:
        below: of the meta cell's gates before their functions, and of Q v, ``[C, T, B, 4M + 4Z]``.
        gates: of the basic cell's gates before their functions, ``[C, 4, T, B, H]``.
        vectors: of z, ``[C, T, B, Z]``.
    """

    below: Tensor
    gates: Tensor
    vectors: Tensor


def _by_direction(all_chains: Any, n_tasks: int) -> list[Any]:
    """A tuple of tensors of all chains, direction by direction."""
    return [type(all_chains)(*parts) for parts in zip(*(each.split(n_tasks) for each in all_chains), strict=True)]


def _forward(below: Tensor, chains: _Chains, z_offset: float) -> Trace:
    """Run from what W_m and Q make of x, with b_m, ``[C, T, B, 4M + 4Z]``."""
    n_chains, words, batch, _ = below.shape
    sizes = chains.sizes()
    n_hidden, n_meta, n_z = sizes.values()
    trace = Trace(
        below=below,
        gates=below.new_empty(n_chains, 4, words, batch, n_hidden),
        factors=below.new_empty(n_chains, 4, words, batch, 2 * n_z),
        states=below.new_zeros(n_chains, words + 1, batch, n_hidden + n_meta),
        meta_memory=below.new_zeros(n_chains, words + 1, batch, n_meta),
        memory=below.new_zeros(n_chains, words + 1, batch, n_hidden),
    )
    _launch("forward", (below, *chains, *trace[1:], z_offset), below, sizes)
    return trace


def _backward(grad: Tensor, chains: _Chains, trace: Trace) -> _Found:
    """From the gradient of h of the basic cells, ``[C, T, B, H]``."""
    n_chains, words, batch, n_hidden = grad.shape
    sizes = chains.sizes()
    found = _Found(
        torch.empty_like(trace.below),
        torch.empty_like(trace.gates),
        grad.new_empty(n_chains, words, batch, sizes["Z"]),
    )
    meta_carried, carried = grad.new_zeros(n_chains, batch, sizes["M"]), grad.new_zeros(n_chains, batch, n_hidden)
    past = (trace.below, trace.gates, trace.factors, trace.meta_memory, trace.memory)
    _launch("backward", (grad, *chains, *past, *found, meta_carried, carried), grad, sizes)
    return found


def _launch(name: str, arguments: tuple[Any, ...], rows: Tensor, sizes: dict[str, int]) -> None:
    """Run a loop for all of ``rows``, ``[C, T, B, .]``."""
    from seqmtl.kernels.meta_lstm import triton_loops  # here, since it needs Triton

    n_chains, words, batch, _ = rows.shape
    if rows.numel() == 0:
        return
    loop = getattr(triton_loops, name)
    with torch.cuda.device_of(rows):
        loop[(n_chains, -(-batch // ROWS))](
            *arguments, batch, words, **sizes, **TILES, **OPTIONS, PRECISION=_precision()
        )


def _precision() -> str:
    """How products of float32 are taken on tensor cores: in three parts, unless the user lets torch round."""
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "tf32x3"
