"""Hard parameter sharing (Caruana 1993; 1997): one representation for all tasks.

B sentences, T words, D and H features.
"""

from collections.abc import Sequence

from seqmtl.batch import States
from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.sharing.base import Sharing, SharingOutput


class HardSharing(Sharing):
    """Every task reads the same features: ``h = F(x; theta_sh)``, METHODS.md section 1.1.

    Without a tower these are the encoder's word states.
    """

    def __init__(self, in_features: int, *, tower: BiLSTMStack | None) -> None:
        """Share ``tower``, or nothing beyond the encoder."""
        super().__init__()
        self.tower = tower
        self.out_features = in_features if tower is None else tower.out_features

    def forward(self, states: States, tasks: Sequence[str]) -> SharingOutput:
        """The same ``[B, T, H]`` for every task."""
        words = states.words()
        features = words.states if self.tower is None else self.tower(words.states, words.mask)
        return SharingOutput(dict.fromkeys(tasks, features))
