"""Layer attention (Kondratyuk and Straka, EMNLP 2019: 75 Languages, 1 Model): each task mixes the layers for itself.

M tasks, K layers, W windows, P pieces, D features, B sentences, T words.
"""

from collections.abc import Collection, Sequence

import torch
from torch import nn

from seqmtl.batch import PieceStates, States
from seqmtl.layers.scalar_mix import ScalarMix
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table, keep_modules


class LayerAttention(Sharing):
    """All of the encoder is shared; what task m reads is ``gamma_m * sum_k softmax(s_m)_k h_k`` (section 3.2).

    The layers are the embeddings and all blocks of a transformer. Where a task reads shows in ``coupling``.

    Deviations: no layer is left out at random in training, as the authors do; words are pooled after mixing, as the
    encoder pools them.
    """

    def __init__(self, in_features: int, *, tasks: Sequence[str], layers: int) -> None:
        """Mix ``layers`` for each task, at first with equal weights."""
        super().__init__()
        self.mixes = nn.ModuleDict({task: ScalarMix(layers) for task in tasks})
        self.out_features = in_features

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Mix for all wanted tasks by one product, and pool once."""
        assert isinstance(states, PieceStates)  # who lays the ground sees to it
        shares = torch.stack([self.mixes[task].shares() for task in request.tasks])  # type: ignore[operator]  # [M, K]
        mixed = shares @ torch.stack(states.layers).flatten(1)  # [M, W * P * D]
        side_by_side = mixed.view(len(shares), *states.layers[0].shape).permute(1, 2, 0, 3).flatten(2)  # [W, P, M * D]
        each = states.pool(side_by_side).unflatten(2, (len(shares), -1))  # [B, T, M, D]
        return SharingOutput(dict(zip(request.tasks, each.unbind(2), strict=True)))

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The tasks' mixtures."""
        return [p for task in tasks for p in self.mixes[task].parameters()]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the mixtures of other tasks."""
        keep_modules(self.mixes, tasks)

    def coupling(self) -> Coupling:
        """The share of each layer in what each task reads, without gamma."""
        with torch.no_grad():
            shares = torch.stack([mix.get_parameter("weights").softmax(dim=0) for mix in self.mixes.values()])  # [M, K]
        layers = ["embeddings", *(f"layer {number}" for number in range(1, shares.shape[1]))]
        return Coupling({"layer attention": Table(list(self.mixes), layers, shares)})
