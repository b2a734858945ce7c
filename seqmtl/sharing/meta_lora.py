"""Weights that a shared network generates word by word, in the top blocks of a transformer.

K tasks, W windows, P pieces, B sentences, T words, D features, I inner features of the feed-forward part, Z rank.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from seqmtl.batch import PieceStates, States
from seqmtl.layers.low_rank import ScaledLowRank, ScaleNetwork
from seqmtl.sharing.base import Request, Sharing, SharingOutput, keep_modules
from seqmtl.sharing.towers.transformer import TransformerTower

# What the map of the running block has beside it; each thread that uses a model has a value of its own.
_beside: ContextVar[Callable[[Tensor], Tensor] | None] = ContextVar("beside", default=None)


class MetaLoRA(Sharing):
    """The idea of Meta-LSTM (Chen et al. 2018) for transformers; this form is ours, and in no paper.

    In the top blocks, the output map of the feed-forward part is ``W + P_k diag(z_t) Q_k`` for task k at piece t, where
    ``z_t`` comes from the state that the block reads through a small network, one per block for all tasks. Each task
    has its own ``P_k`` and ``Q_k``; the blocks themselves are shared, and trained. P starts at 0, so that at first this
    is hard sharing. The trajectories of the tasks part in the first of these blocks, so each costs the top blocks anew.
    """

    recomputable = False  # what a block adds is known only while it is run for a task

    def __init__(
        self,
        tower: TransformerTower,
        networks: Sequence[ScaleNetwork],
        updates: Mapping[str, Sequence[ScaledLowRank]],
    ) -> None:
        """One network per block, and one update per block and task, lowest first."""
        super().__init__()
        self.tower = tower
        self.networks = nn.ModuleList(networks)
        self.updates = nn.ModuleDict({task: nn.ModuleList(own) for task, own in updates.items()})
        self.out_features = tower.out_features
        for number in range(tower.depth):
            # Families differ in how their feed-forward part comes to this map, so that is left to them.
            tower.output_map(number).register_forward_hook(_with_update)

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the top blocks for each wanted task."""
        entered = self.tower.enter(states)
        return SharingOutput({task: self.tower.leave(self._climb(entered, task), entered) for task in request.tasks})

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The blocks, their networks, and the updates of ``tasks``."""
        own = [p for task in tasks for p in self.updates[task].parameters()]
        return [*self.tower.parameters(), *self.generator(), *own]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the updates of other tasks."""
        keep_modules(self.updates, tasks)

    def generator(self) -> list[nn.Parameter]:
        """The networks that say z."""
        return list(self.networks.parameters())

    def at_words(self, states: States, tasks: Sequence[str]) -> dict[str, Tensor]:
        """How large the update is at each word of one sentence, ``||P diag(z) Q||_F``, by block."""
        entered = self.tower.enter(states)
        (mask,) = states.mask
        found: list[list[Tensor]] = [[] for _ in self.networks]
        for task in tasks:
            self._climb(entered, task, norms=found)
        return {
            f"generated weights {number}": entered.pool(torch.stack(norms, dim=-1))[0, mask].detach()  # [T, K]
            for number, norms in enumerate(found, start=1)
        }

    def _climb(self, entered: PieceStates, task: str, *, norms: "Sequence[list[Tensor]]" = ()) -> Tensor:
        """The state after the last block, ``[W, P, D]``; the sizes of updates ``[W, P]`` are added to ``norms``."""
        hidden = entered.states
        for number, (network, update) in enumerate(zip(self.networks, self._own(task), strict=True)):
            scales = network(hidden)  # [W, P, Z]
            if norms:
                norms[number].append(update.norms(scales))
            hidden = self._block(number, hidden, entered, update=update, scales=scales)
        return hidden

    def _block(
        self, number: int, hidden: Tensor, entered: PieceStates, *, update: ScaledLowRank, scales: Tensor
    ) -> Tensor:
        """One block, ``[W, P, D]`` to itself in shape, with ``update`` beside the output map of its second part."""
        token = _beside.set(lambda inner: update(inner, scales))
        try:
            return self.tower.layer(number, hidden, entered)
        finally:
            _beside.reset(token)

    def _own(self, task: str) -> list[ScaledLowRank]:
        return list(self.updates[task])  # type: ignore[arg-type]  # they are updates


def _with_update(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """What a map gives, and what is beside it."""
    beside = _beside.get()
    return output if beside is None else output + beside(arguments[0])
