"""Cross-stitch networks (Misra et al., CVPR 2016).

M towers, B sentences, T words, H features.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table
from seqmtl.sharing.coupling import start_alphas
from seqmtl.sharing.pruning import Pruning, prune
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.lockstep import Lockstep, Reads


class CrossStitch(Sharing):
    """After each layer ``[h~_A; h~_B] = [[a_AA, a_AB], [a_BA, a_BB]] [h_A; h_B]`` (equation 1), for M tasks.

    The row is the target, the column the source, and the next layer of a tower reads its mixture. Rows start convex,
    ``same_task`` on the task's own state and the rest shared by the others (section 5); nothing keeps them convex.

    Deviations: the paper stitches after pooling and fully connected layers of a convolutional network, here every layer
    of a tower is; the paper's unit per channel is ``ChannelAlpha``, and the scalar per layer that the sluice paper
    compares with is ``Alpha`` with one subspace. The towers of a transformer start as equal copies, those of BiLSTMs
    apart; the paper's start from networks trained alone is ``training.start_from``.
    """

    def __init__(
        self,
        towers: Mapping[str, Tower],
        mixers: Sequence[Alpha | ChannelAlpha],
        *,
        reads: Sequence[Reads],
    ) -> None:
        """One tower per task, one mixer per layer."""
        super().__init__()
        self.lockstep = Lockstep(towers, mixers, reads=reads, handed_out=[len(mixers) - 1])
        (self.out_features,) = {tower.out_features for tower in towers.values()}

    def forward(self, states: States, request: Request) -> SharingOutput:
        """The mixture after the last layer, for each wanted task."""
        entered = self.lockstep.enter(states)
        last = self.lockstep(entered, request.tasks)
        return SharingOutput({task: self.lockstep.leave(task, mixed[-1], entered) for task, mixed in last.items()})

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The towers from which ``tasks`` can be reached, and the mixers."""
        return self.lockstep.serving(tasks)

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the layers of towers from which none of ``tasks`` can be reached."""
        self.lockstep.keep(tasks)

    def prune(self, threshold: float) -> Pruning:
        """Remove the alphas whose magnitude is below ``threshold``."""
        return prune(self.lockstep, threshold)

    def start_mixing(self, found: Coupling, *, source: str) -> None:
        """Let alpha start at ``found``; one matrix per feature, each at the same."""
        start_alphas(self.lockstep.mixers, found, wanted=self.coupling(), source=source)

    def coupling(self) -> Coupling:
        """Alpha per layer; of one matrix per feature, the mean."""
        tasks = self.lockstep.tasks
        tables = {}
        for number, matrix in enumerate(self.lockstep.matrices(), start=1):
            tables[f"alpha {number}"] = Table(tasks, tasks, matrix if matrix.ndim == 2 else matrix.mean(dim=-1))
        return Coupling(tables)


def initial_alpha(tasks: int, *, same_task: float) -> Tensor:
    """Rows that sum to 1, ``same_task`` on the diagonal, ``[M, M]``."""
    if tasks == 1:
        return torch.ones(1, 1)
    others = (1.0 - same_task) / (tasks - 1)
    return torch.full((tasks, tasks), others).fill_diagonal_(same_task)
