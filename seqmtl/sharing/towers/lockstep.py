"""Towers that advance together, layer by layer, and exchange what they hold after each.

M towers, S subspaces, N sequences, L positions, H features.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.sharing.towers.base import Tower

Reads = tuple[tuple[bool, ...], ...]  # [target][source]: whether a tower reads another after a layer


@dataclass(frozen=True)
class Stage:
    """What of one layer has to be run: the towers that compute, and those whose mixtures are wanted."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]


def stages(reads: Sequence[Reads], *, handed_out: Collection[int], wanted: Collection[int]) -> list[Stage]:
    """What has to be run of each layer, when the towers ``wanted`` are handed the mixtures of ``handed_out`` layers."""
    found: list[Stage] = []
    above: set[int] = set()  # towers that compute in the layer above
    for number, layer in reversed(list(enumerate(reads))):
        targets = above | (set(wanted) if number in handed_out else set())
        above = {source for target in targets for source, read in enumerate(layer[target]) if read}
        found.insert(0, Stage(tuple(sorted(above)), tuple(sorted(targets))))
    return found


class Lockstep(nn.Module):
    """One tower per task and a mixer after each layer: ``h~[k] = A_k h[k]``, ``h[k] = layer_k(h~[k-1])``.

    Only layers of towers from which a wanted task can be reached are run.

    The towers of a layer run one after the other: on a CPU one batched computation of four (weights stacked beforehand,
    ``scripts/benchmark_sharing.py --towers``) takes 1.6 times as long for BiLSTMs, which lose torch's fused LSTM, and
    no less time for blocks of MiniLM under ``vmap``; stacking weights in each step would come on top.
    """

    def __init__(
        self,
        towers: Mapping[str, Tower],
        mixers: Sequence[Alpha | ChannelAlpha],
        *,
        reads: Sequence[Reads],
        handed_out: Sequence[int],
    ) -> None:
        """Join ``towers``; layers that no task reaches are dropped.

        Args:
            towers: one per task, of one shape.
            mixers: one per layer.
            reads: which tower reads which, per layer.
            handed_out: the layers, ascending, whose mixtures a task gets.
        """
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.mixers = nn.ModuleList(mixers)
        self.tasks = tuple(towers)
        self.readers = self.tasks  # that are handed mixtures
        self.handed_out = tuple(handed_out)
        self.rewire(reads)

    def rewire(self, reads: Sequence[Reads]) -> int:
        """Read as ``reads`` says from now on, and drop the layers that no task reaches any more.

        Returns:
            How many layers of towers were dropped.
        """
        self.reads = tuple(reads)
        before = sum(len(tower.layers) for tower in self.in_order())
        stages = self.plan(self.readers)
        for number, tower in enumerate(self.in_order()):
            tower.keep([k for k, stage in enumerate(stages) if number in stage.sources])
        return before - sum(len(tower.layers) for tower in self.in_order())

    def keep(self, tasks: Collection[str]) -> None:
        """Hand mixtures to ``tasks`` only from now on, and drop the layers that none of them reaches."""
        self.readers = tuple(task for task in self.tasks if task in tasks)
        self.rewire(self.reads)

    def plan(self, tasks: Collection[str]) -> list[Stage]:
        """What has to be run of each layer for ``tasks``."""
        wanted = [number for number, task in enumerate(self.tasks) if task in tasks]
        return stages(self.reads, handed_out=self.handed_out, wanted=wanted)

    def forward(self, states: States, tasks: Sequence[str]) -> dict[str, list[Tensor]]:
        """The mixtures ``[N, L, H]`` that each task is handed, one per layer of ``handed_out``."""
        towers = self.in_order()
        held = dict.fromkeys(range(len(towers)), states.states)
        after: dict[str, list[Tensor]] = {task: [] for task in tasks}
        for number, stage in enumerate(self.plan(tasks)):
            hidden = [towers[source].layer(number, held[source], states) for source in stage.sources]
            mixed = self.mixers[number](hidden, sources=stage.sources, targets=stage.targets)
            held = dict(zip(stage.targets, mixed, strict=True))
            if number in self.handed_out:
                for task in tasks:
                    after[task].append(held[self.tasks.index(task)])
        return after

    def enter(self, states: States) -> States:
        """The states on which the layers work."""
        return self.in_order()[0].enter(states)

    def leave(self, task: str, hidden: Tensor, states: States) -> Tensor:
        """A state ``[N, L, H]`` of a task's tower to features of words, ``[B, T, H]``."""
        return self.in_order()[self.tasks.index(task)].leave(hidden, states)

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The parameters of the mixers and of the layers that ``tasks`` can be reached from."""
        towers = self.in_order()
        layers = [
            towers[source].layers[str(number)]
            for number, stage in enumerate(self.plan(tasks))
            for source in stage.sources
        ]
        above = [tower for task, tower in zip(self.tasks, towers, strict=True) if task in tasks]
        norms = [p for tower in above for p in tower.outer_parameters()]
        return [*self.mixers.parameters(), *(p for layer in layers for p in layer.parameters()), *norms]

    def matrices(self) -> list[Tensor]:
        """What each mixer has learned."""
        return [mixer.matrix.detach() for mixer in self.mixers]  # type: ignore[operator]  # they are mixers

    def in_order(self) -> list[Tower]:
        """The towers, as the tasks go."""
        return [self.towers[task] for task in self.tasks]  # type: ignore[misc]  # they are towers
