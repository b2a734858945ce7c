"""Learned mixtures of what several towers hold.

I target and J source towers, S subspaces, N sequences, L positions, D features, d = D / S; K layers.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import initialization as init

Normalisation = Literal["none", "softmax", "l1"]


class Alpha(nn.Module):
    """``h~ = A h`` over the S subspaces of M towers: row = target, column = source (Ruder et al. 2019, equation 1).

    Rows and columns go tower by tower, and within a tower subspace by subspace. A subspace is a run of neighbouring
    units; of a bidirectional state, the same run of either direction.
    """

    def __init__(
        self, initial: Tensor, *, subspaces: int, directions: int, normalisation: Normalisation, kept: Tensor | None
    ) -> None:
        """Start at ``initial``.

        Args:
            initial: the values that ``matrix`` starts with, ``[M * S, M * S]``; positive under ``softmax``. It is no
                meta tensor, though the mixture may be built as one: what a checkpoint lacks starts here, too.
            subspaces: S.
            directions: 2 when a state is two directions side by side, else 1.
            normalisation: of each row: none, softmax, or division by the sum of magnitudes.
            kept: ``[M * S, M * S]``; where it is False the entry is 0 and stays so. None: all are kept.
        """
        super().__init__()
        self.subspaces = subspaces
        self.directions = directions
        self.normalisation: Normalisation = normalisation
        self.weight = nn.Parameter(torch.empty(initial.shape, dtype=initial.dtype))
        self.initial = initial
        self.keep(kept)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As it was built."""
        init.copy_(self.weight, self._weight_of(self.initial))
        if self.kept is not None and self.wired is not None:
            init.copy_(self.kept, self.wired)

    def start(self, matrix: Tensor) -> None:
        """Let A be ``matrix`` from now on, with its rows normalised as this mixture is."""
        self.weight.data.copy_(self._weight_of(matrix))

    def keep(self, kept: Tensor | None) -> None:
        """Let the entries where ``kept`` is False be 0 from now on; None: all are kept."""
        self.kept: Tensor | None
        self.register_buffer("kept", kept)
        self.wired = kept  # the tensor itself, which stays when a loader puts an empty one into the buffer
        self.diagonal = kept is not None and not kept[~torch.eye(len(kept), dtype=torch.bool, device=kept.device)].any()

    @property
    def matrix(self) -> Tensor:
        """A, ``[M * S, M * S]``."""
        match self.normalisation:
            case "none":
                matrix = self.weight
            case "softmax":
                matrix = self.weight.softmax(dim=1)
            case "l1":
                matrix = self.weight / self.weight.abs().sum(dim=1, keepdim=True)
        return matrix if self.kept is None else matrix * self.kept

    def forward(self, states: Sequence[Tensor], *, sources: Sequence[int], targets: Sequence[int]) -> list[Tensor]:
        """Mix the ``states`` ``[N, L, D]`` of the towers ``sources`` into one such state for each of ``targets``.

        In mixed precision, too, the product is in the precision of alpha: bfloat16 does not tell 0.9 from 0.901.
        """
        if self.diagonal and tuple(sources) == tuple(targets):
            return self._scaled(states, targets=targets)  # elementwise, so autocast leaves it in that precision
        with torch.autocast(states[0].device.type, enabled=False):
            return self._mixed(states, sources=sources, targets=targets)

    def _mixed(self, states: Sequence[Tensor], *, sources: Sequence[int], targets: Sequence[int]) -> list[Tensor]:
        matrix = self._part(sources=sources, targets=targets)  # [I * S, J * S]
        mixed = matrix @ self._slices(states)  # [I * S, N * L * 2 * d]
        subspace = states[0].shape[-1] // (self.directions * self.subspaces)
        runs = mixed.view(len(targets), self.subspaces, -1, subspace)  # [I, S, N * L * 2, d]
        return list(runs.transpose(1, 2).reshape(len(targets), *states[0].shape))  # [I, N, L, D]

    def _weight_of(self, matrix: Tensor) -> Tensor:
        return matrix.log() if self.normalisation == "softmax" else matrix

    def _slices(self, states: Sequence[Tensor]) -> Tensor:
        """The slices of ``states``, ``[J * S, N * L * 2 * d]``; a function of its own, so that the stack is freed."""
        stacked = torch.stack(tuple(states)).to(self.weight.dtype)  # [J, N, L, D]
        runs = stacked.unflatten(-1, (self.directions, self.subspaces, -1)).flatten(1, 3)  # [J, N * L * 2, S, d]
        return runs.transpose(1, 2).reshape(len(states) * self.subspaces, -1)

    def _scaled(self, states: Sequence[Tensor], *, targets: Sequence[int]) -> list[Tensor]:
        """The mixture when every slice reads itself only: a pruned model must not cost more than single towers."""
        shares = self.matrix.diagonal().view(-1, self.subspaces)  # [M, S]
        subspace = states[0].shape[-1] // (self.directions * self.subspaces)
        spread = shares[:, None, :, None].expand(-1, self.directions, -1, subspace)  # [M, 2, S, d]
        return [state * spread[target].flatten() for state, target in zip(states, targets, strict=True)]

    def _part(self, *, sources: Sequence[int], targets: Sequence[int]) -> Tensor:
        """The rows of ``targets`` and the columns of ``sources``."""
        matrix = self.matrix
        towers = len(matrix) // self.subspaces
        if len(sources) == len(targets) == towers:  # both ascend, so these are all
            return matrix
        blocks = matrix.unflatten(0, (towers, self.subspaces)).unflatten(2, (towers, self.subspaces))
        rows = torch.stack([blocks[target] for target in targets])  # [I, S, M, S]
        return torch.stack([rows[:, :, source] for source in sources], dim=2).flatten(2, 3).flatten(0, 1)


class ChannelAlpha(nn.Module):
    """One matrix ``A_c`` per feature: ``h~_c = A_c h_c`` (Misra et al. 2016, section 3.1: one unit per channel)."""

    def __init__(self, initial: Tensor, *, features: int, kept: Tensor | None) -> None:
        """Start every feature at ``initial`` ``[M, M]``; this and ``kept`` as in ``Alpha``."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*initial.shape, features, dtype=initial.dtype))
        self.initial = initial
        self.keep(kept)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As it was built."""
        init.copy_(self.weight, self.initial[..., None])
        if self.kept is not None and self.wired is not None:
            init.copy_(self.kept, self.wired)

    def start(self, matrix: Tensor) -> None:
        """Let every feature's matrix be ``matrix`` ``[M, M]`` from now on."""
        self.weight.data.copy_(matrix[..., None])

    def keep(self, kept: Tensor | None) -> None:
        """Let the pairs of towers where ``kept`` is False be 0 in all features from now on; None: all are kept."""
        self.kept: Tensor | None
        self.register_buffer("kept", kept)
        self.wired = kept  # as in Alpha

    @property
    def matrix(self) -> Tensor:
        """All the matrices, ``[M, M, D]``."""
        return self.weight if self.kept is None else self.weight * self.kept[..., None]

    def forward(self, states: Sequence[Tensor], *, sources: Sequence[int], targets: Sequence[int]) -> list[Tensor]:
        """Mix the ``states`` ``[N, L, D]`` of the towers ``sources`` into one such state for each of ``targets``."""
        matrix = self.matrix
        mixed = []
        for target in targets:
            total = matrix[target, sources[0]] * states[0]
            for source, state in zip(sources[1:], states[1:], strict=True):
                total = torch.addcmul(total, matrix[target, source], state)
            mixed.append(total)
        return mixed


class Beta(nn.Module):
    """``sum_k beta_k h_k`` over the layers of one tower, unnormalised (Ruder et al. 2019, equation 3)."""

    def __init__(self, initial: Tensor) -> None:
        """Start at ``initial``, ``[K]``, which is as in ``Alpha``."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(initial.shape, dtype=initial.dtype))
        self.initial = initial
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As it was built."""
        init.copy_(self.weight, self.initial)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """K states ``[N, L, D]`` to one, in the precision of beta as in ``Alpha``."""
        if not torch.is_grad_enabled():
            return self._added_up(layers)
        with torch.autocast(layers[0].device.type, enabled=False):
            stacked = torch.stack(tuple(layers)).to(self.weight.dtype)  # [K, N, L, D]
            return (self.weight @ stacked.flatten(1)).view_as(layers[0])

    def _added_up(self, layers: Sequence[Tensor]) -> Tensor:
        """The same without a stack, which costs more than it saves where no gradient is wanted."""
        first, *others = (layer.to(self.weight.dtype) for layer in layers)
        share, *shares = self.weight.unbind()
        total = share * first
        for share, layer in zip(shares, others, strict=True):
            total.addcmul_(share, layer)
        return total
