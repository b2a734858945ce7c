"""The Meta-LSTM step by step, as its equations are written and autograd sees them; the other forms are held to it.

K tasks, R directions, B sentences, T words, D inputs, H size of the Basic-LSTM, M of the Meta-LSTM, Z of the meta
vector.
"""

import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights


def meta_lstm(
    inputs: Tensor, mask: Tensor, meta: MetaWeights, basic: BasicWeights, *, z_offset: float = 0.0
) -> MetaStates:
    """Run each task and direction on its own, word by word; see ``seqmtl.kernels.meta_lstm`` for the signature."""
    n_tasks, n_directions = basic.left.shape[:2]
    by_task = inputs.expand(n_tasks, *inputs.shape[1:])
    chains = [
        [
            _chain(
                by_task[task],
                mask,
                MetaWeights(*(None if part is None else part[min(direction, len(part) - 1)] for part in meta)),  # type: ignore[arg-type]
                BasicWeights(*(part[task, direction] for part in basic)),
                backward=direction == 1,
                z_offset=z_offset,
            )
            for direction in range(n_directions)
        ]
        for task in range(n_tasks)
    ]
    hidden = [torch.cat([states for states, _ in directions], dim=-1) for directions in chains]
    vectors = [torch.stack([z for _, z in directions]) for directions in chains]
    return MetaStates(torch.stack(hidden), torch.stack(vectors).detach())


def _chain(
    inputs: Tensor, mask: Tensor, meta: MetaWeights, basic: BasicWeights, *, backward: bool, z_offset: float
) -> tuple[Tensor, Tensor]:
    """One task in one direction: h ``[B, T, H]`` and z ``[B, T, Z]``, 0 where padded."""
    batch, words, _ = inputs.shape
    n_hidden, n_meta = basic.left.shape[1], meta.gates.shape[0] // 4
    h, c = inputs.new_zeros(2, batch, n_hidden)  # [B, H]
    meta_h, meta_c = inputs.new_zeros(2, batch, n_meta)  # [B, M]
    hidden, vectors = [h] * words, [inputs.new_zeros(batch, basic.left.shape[2])] * words
    for t in reversed(range(words)) if backward else range(words):
        real = mask[:, t, None]
        x = inputs[:, t]
        gates = torch.cat((x, meta_h, h), dim=1) @ meta.gates.T + meta.bias  # [B, 4M]
        new_meta_h, new_meta_c = _cell(gates.chunk(4, dim=1), meta_c)
        z = new_meta_h if meta.projection is None else new_meta_h @ meta.projection.T
        z = z + z_offset  # [B, Z]
        below = torch.cat((x, h), dim=1)  # [B, D + H]
        new_h, new_c = _cell(
            [(z * (below @ q.T)) @ p.T + z @ b.T for p, q, b in zip(basic.left, basic.right, basic.bias, strict=True)],
            c,
        )
        h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
        meta_h, meta_c = torch.where(real, new_meta_h, meta_h), torch.where(real, new_meta_c, meta_c)
        hidden[t], vectors[t] = h.masked_fill(~real, 0.0), z.masked_fill(~real, 0.0)
    if not words:
        return inputs.new_zeros(batch, 0, n_hidden), inputs.new_zeros(batch, 0, basic.left.shape[2])
    return torch.stack(hidden, dim=1), torch.stack(vectors, dim=1)


def _cell(gates: "list[Tensor] | tuple[Tensor, ...]", before: Tensor) -> tuple[Tensor, Tensor]:
    """The state and the memory of an LSTM cell from its four gates before their functions: g, i, f, o."""
    g, i, f, o = gates
    memory = g.tanh() * i.sigmoid() + before * f.sigmoid()
    return o.sigmoid() * memory.tanh(), memory
