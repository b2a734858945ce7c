"""Hard parameter sharing (Caruana 1993; 1997): one representation for all tasks.

B sentences, T words, H features.
"""

from seqmtl.batch import States
from seqmtl.sharing.base import Request, Sharing, SharingOutput
from seqmtl.sharing.towers.base import Tower


class HardSharing(Sharing):
    """Every task reads the same features: ``h = F(x; theta_sh)``, METHODS.md section 1.1.

    Without a tower these are the encoder's word states.
    """

    def __init__(self, in_features: int, *, tower: Tower | None) -> None:
        """Share ``tower``, or nothing beyond the encoder."""
        super().__init__()
        self.tower = tower
        self.out_features = in_features if tower is None else tower.out_features

    def forward(self, states: States, request: Request) -> SharingOutput:
        """The same ``[B, T, H]`` for every task."""
        features = states.words().states if self.tower is None else self.tower(states)
        return SharingOutput(dict.fromkeys(request.tasks, features))
