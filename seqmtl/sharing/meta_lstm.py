"""Sharing inside the recurrence (Chen, Qiu, Liu and Huang, AAAI 2018: Meta Multi-Task Learning for Sequence Modeling).

K tasks, R = 2 directions, B sentences, T words, D inputs, H features of both directions, Z of the meta vector.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.kernels.meta_lstm import MetaStates, meta_lstm
from seqmtl.layers.dropout import VariationalDropout
from seqmtl.layers.meta_lstm import BasicCell, MetaCell, stacked
from seqmtl.sharing.base import Request, Sharing, SharingOutput, keep_modules


class MetaLayer(nn.Module):
    """A bidirectional Meta-LSTM: one meta cell for all tasks, a basic cell of each."""

    def __init__(self, meta: MetaCell, basic: Mapping[str, BasicCell], *, z_offset: float) -> None:
        """``z_offset`` is added to z."""
        super().__init__()
        self.meta = meta
        self.basic = nn.ModuleDict(basic)
        self.z_offset = z_offset

    def forward(self, hidden: Tensor, mask: Tensor, tasks: Sequence[str]) -> MetaStates:
        """``[1 or K, B, T, D]`` to ``[K, B, T, H]`` and z."""
        meta = self.meta.weights()
        with torch.autocast(hidden.device.type, enabled=False):
            return meta_lstm(
                hidden.to(meta.gates.dtype), mask, meta, stacked(self.cells(tasks)), z_offset=self.z_offset
            )

    def cells(self, tasks: Sequence[str]) -> list[BasicCell]:
        """Those of ``tasks``."""
        return [self.basic[task] for task in tasks]  # type: ignore[misc]  # they are basic cells


class MetaLSTM(Sharing):
    """A Meta-LSTM shared by all tasks generates, word by word, the weights of each task's LSTM, METHODS.md section 3.

    - ``z_t = W_z h'_t``, where ``h'`` is the state of the Meta-LSTM, which reads ``[x_t; h'_(t-1); h_(t-1)]``.
    - ``W_k(z_t) = P_k diag(z_t) Q_k`` and ``b_k(z_t) = B_k z_t`` are the weights of task k's LSTM at word t.

    Shared are ``W_m``, ``b_m`` and ``W_z``, and nothing else: since the Meta-LSTM reads the task's own state ``h``,
    each task runs a trajectory of its own. All of them advance in one batched step.

    Deviations: the paper prints Q for x alone, which does not fit ``[x; h]``; here it reads both, as in the authors'
    code. Their code has no ``W_z`` (``project_z: false``). Where the paper says nothing, there is a meta cell for each
    direction or one for both, dropout is variational, and cells are initialised as LSTMs, with P enlarged by what z,
    which is small and has mean 0, takes away. ``z_offset`` (ours) lets z start near 1 instead, so that each task starts
    near an ordinary LSTM, with B making its forget bias of 1. Layers can be stacked: those above the first read the
    task's own states.
    """

    def __init__(self, layers: Sequence[MetaLayer], *, out_features: int, dropout: float) -> None:
        """``layers`` from the lowest; variational dropout before each."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = VariationalDropout(dropout)
        self.out_features = out_features

    def forward(self, states: States, request: Request) -> SharingOutput:
        """States of the tasks' own LSTMs, for the wanted tasks only."""
        *_, top = self._climb(states, request.tasks)
        return SharingOutput(dict(zip(request.tasks, top.hidden.unbind(0), strict=True)))

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The meta cells, and the basic cells of ``tasks``."""
        return [
            *self.generator(),
            *(p for layer in self.layers for cell in layer.cells(list(tasks)) for p in cell.parameters()),  # type: ignore[operator]
        ]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the basic cells of other tasks."""
        for layer in self.layers:
            keep_modules(layer.basic, tasks)  # type: ignore[arg-type]  # they are modules by task

    def generator(self) -> list[nn.Parameter]:
        """The meta cells."""
        return [p for layer in self.layers for p in layer.meta.parameters()]  # type: ignore[union-attr]

    def at_words(self, states: States, tasks: Sequence[str]) -> dict[str, Tensor]:
        """How large the weights are that are generated at each word of one sentence, ``||W(z_t)||_F``, by layer."""
        (mask,) = states.mask
        sizes = {}
        for number, (layer, found) in enumerate(zip(self.layers, self._climb(states, tasks), strict=True), start=1):
            norms = [
                cell.norms(vectors[:, 0, mask])  # [T]
                for cell, vectors in zip(layer.cells(tasks), found.meta, strict=True)  # type: ignore[operator]
            ]
            sizes[f"generated weights {number}"] = torch.stack(norms, dim=1).detach()
        return sizes

    def _climb(self, states: States, tasks: Sequence[str]) -> list[MetaStates]:
        """What each layer gives."""
        read = states.words()
        hidden, found = read.states[None], []  # [1, B, T, D]
        for layer in self.layers:
            dropped = self.dropout(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
            found.append(layer(dropped, read.mask, tasks))
            hidden = found[-1].hidden  # [K, B, T, H]
        return found
