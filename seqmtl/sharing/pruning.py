"""Removing what a scheme has learned not to use.

M towers, S subspaces.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqmtl.errors import ConfigError
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.sharing.towers.lockstep import Lockstep, Reads, stages

Kept = tuple[tuple[int, ...], ...]  # 1 where an entry of alpha is kept


@dataclass(frozen=True)
class Pruning:
    """What was removed.

    Attributes:
        entries: of alpha, removed now or before.
        of: entries of alpha in all.
        layers: of towers, dropped now.
        connections: what is left: per layer, a matrix of 0 and 1.
    """

    entries: int
    of: int
    layers: int
    connections: tuple[Kept, ...]


def prune(lockstep: Lockstep, threshold: float) -> Pruning:
    """Set the alphas below ``threshold`` in magnitude to 0 for good, and drop the layers that no task reaches.

    A matrix per feature loses a pair of tasks when all its features are below.

    Raises:
        ConfigError: when a task would have nothing left to read; nothing has been changed then.
    """
    kept = [still_kept(mixer, threshold) for mixer in lockstep.mixers]  # type: ignore[arg-type]  # they are mixers
    reads = [tower_reads(part, towers=len(lockstep.tasks)) for part in kept]
    readers = [number for number, task in enumerate(lockstep.tasks) if task in lockstep.readers]
    plan = stages(reads, handed_out=lockstep.handed_out, wanted=readers)
    for number, (stage, layer) in enumerate(zip(plan, reads, strict=True), start=1):
        for target in stage.targets:
            if not any(layer[target]):
                raise ConfigError(
                    f"prune: a threshold of {threshold} leaves task {lockstep.tasks[target]!r} nothing to read after "
                    f"layer {number}; choose a lower one, by the alphas that `seqmtl inspect` shows"
                )
    for mixer, part in zip(lockstep.mixers, kept, strict=True):
        mixer.keep(part)  # type: ignore[operator]  # it is a mixer
    dropped = lockstep.rewire(reads)
    connections = tuple(tuple(tuple(map(int, row)) for row in part.tolist()) for part in kept)
    removed = sum(int((~part).sum()) for part in kept)
    return Pruning(removed, sum(part.numel() for part in kept), dropped, connections)


def still_kept(mixer: Alpha | ChannelAlpha, threshold: float) -> Tensor:
    """Which entries stay, ``[M * S, M * S]``; one that was removed before never comes back, whatever the threshold."""
    kept = strength(mixer) >= threshold
    return kept if mixer.kept is None else kept & mixer.kept


def strength(mixer: Alpha | ChannelAlpha) -> Tensor:
    """The magnitude of each entry, ``[M * S, M * S]``; of one matrix per feature, the largest."""
    matrix = mixer.matrix.detach().abs()
    return matrix if matrix.ndim == 2 else matrix.amax(dim=-1)


def tower_reads(kept: Tensor, *, towers: int) -> Reads:
    """Which tower reads any subspace of which, from ``[M * S, M * S]``."""
    subspaces = len(kept) // towers
    blocks = kept.view(towers, subspaces, towers, subspaces).any(dim=3).any(dim=1)  # [M, M]
    return tuple(tuple(row) for row in blocks.tolist())


def kept_entries(connections: tuple[Kept, ...] | None, *, layers: int, size: int) -> list[Tensor | None]:
    """``connections`` as one mask per layer.

    Raises:
        ConfigError: when they are not of ``layers`` square matrices of ``size``, so belong to other tasks or towers.
    """
    if connections is None:
        return [None] * layers
    shapes = [(len(part), *{len(row) for row in part}) for part in connections]
    if shapes != [(size, size)] * layers:
        raise ConfigError(
            f"sharing.connections: expected {layers} matrices of {size} x {size}, one for each layer of the towers; "
            f"got {len(shapes)} of {' and '.join(sorted({' x '.join(map(str, shape)) for shape in shapes}))}"
        )
    # On the CPU although a model is loaded on the meta device: what is wired by them must be known there, too.
    return [torch.tensor(part, dtype=torch.bool, device="cpu") for part in connections]


def all_reads(kept: Tensor | None, *, towers: int) -> Reads:
    """Which tower reads which, where ``kept`` None means that all do."""
    return tuple((True,) * towers for _ in range(towers)) if kept is None else tower_reads(kept, towers=towers)
