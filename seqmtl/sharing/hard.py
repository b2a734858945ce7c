"""Hard parameter sharing (Caruana 1993; 1997): one representation for all tasks.

B sentences, T words, D and H features.
"""

from collections.abc import Sequence

from torch import Tensor

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

    def forward(self, states: Tensor, mask: Tensor, tasks: Sequence[str]) -> SharingOutput:
        """The same ``[B, T, H]`` for every task."""
        features = states if self.tower is None else self.tower(states, mask)
        return SharingOutput(dict.fromkeys(tasks, features))
