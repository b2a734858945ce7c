"""A tower per task and nothing in common above the encoder: the scheme that all others are measured against.

B sentences, T words, D and H features.
"""

from collections.abc import Mapping, Sequence

from torch import nn

from seqmtl.batch import States
from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.sharing.base import Sharing, SharingOutput


class Independent(Sharing):
    """Each task's tower reads the word states on its own."""

    def __init__(self, towers: Mapping[str, BiLSTMStack]) -> None:
        """One tower per task, all of one width."""
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        (self.out_features,) = {tower.out_features for tower in towers.values()}

    def forward(self, states: States, tasks: Sequence[str]) -> SharingOutput:
        """Run the towers of ``tasks`` only."""
        words = states.words()
        return SharingOutput({task: self.towers[task](words.states, words.mask) for task in tasks})

    def task_parameters(self, task: str) -> list[nn.Parameter]:
        """The task's tower."""
        return list(self.towers[task].parameters())
