"""A tower per task and nothing in common above the encoder: the scheme that all others are measured against.

B sentences, T words, H features.
"""

from collections.abc import Collection, Mapping

from torch import nn

from seqmtl.batch import States
from seqmtl.sharing.base import Request, Sharing, SharingOutput, keep_modules
from seqmtl.sharing.towers.base import Tower


class Independent(Sharing):
    """Each task's tower reads the encoder's states on its own."""

    def __init__(self, towers: Mapping[str, Tower]) -> None:
        """One tower per task, all of one shape."""
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        (self.out_features,) = {tower.out_features for tower in towers.values()}

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the towers of the wanted tasks only."""
        towers = {task: self.towers[task] for task in request.tasks}
        entered = next(iter(towers.values())).enter(states)  # type: ignore[operator]  # it is a tower
        return SharingOutput({task: tower(entered) for task, tower in towers.items()})

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The tasks' towers."""
        return [p for task in tasks for p in self.towers[task].parameters()]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the towers of other tasks."""
        keep_modules(self.towers, tasks)
