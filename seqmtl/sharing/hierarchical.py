"""Low supervision: tasks attached at chosen layers of one tower (Soegaard and Goldberg, ACL 2016).

K layers, B sentences, T words, H features.
"""

from collections.abc import Collection, Mapping, Sequence

from torch import nn

from seqmtl.batch import States
from seqmtl.errors import ConfigError, nearest
from seqmtl.sharing.base import Request, Sharing, SharingOutput
from seqmtl.sharing.towers.base import Tower


class Hierarchical(Sharing):
    """The head of task m reads layer k(m) of a tower that all share, METHODS.md section 1.3.

    ``y_m = softmax(W_m h[k(m)] + b_m)``: the layers up to k(m) learn from task m, those above do not. In the paper POS
    sits at the innermost of three BiLSTM layers, chunking or CCG supertagging at the outermost.

    Deviations: the paper draws one task per step, here every task of the batch is learned at once; its tower stands on
    word embeddings, here on any encoder. On blocks of a transformer, which the paper does not have, a state below the
    last passes through the norm that follows the last block, in families that have one.
    """

    def __init__(self, tower: Tower, *, depths: Mapping[str, int]) -> None:
        """Attach each task to a layer of ``tower``, 1 the lowest; layers above the deepest task are dropped."""
        super().__init__()
        self.tower = tower
        self.depths = dict(depths)
        self.out_features = tower.out_features
        tower.keep(range(self._deepest(self.depths)))

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the layers up to the deepest wanted task; tasks at one layer have the same ``[B, T, H]``."""
        entered = self.tower.enter(states)
        hidden, features = entered.states, {}
        for number in range(self._deepest(request.tasks)):
            hidden = self.tower.layer(number, hidden, entered)
            here = [task for task in request.tasks if self.depths[task] == number + 1]
            if here:
                features |= dict.fromkeys(here, self.tower.leave(hidden, entered))
        return SharingOutput({task: features[task] for task in request.tasks})

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The layers up to the deepest of ``tasks``."""
        layers = [self.tower.layers[str(number)] for number in range(self._deepest(tasks))]
        return [*(p for layer in layers for p in layer.parameters()), *self.tower.outer_parameters()]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the layers above the deepest of ``tasks``."""
        self.tower.keep(range(self._deepest(tasks)))

    def _deepest(self, tasks: Collection[str]) -> int:
        return max((self.depths[task] for task in tasks), default=0)


def check_depths(depths: Mapping[str, int], *, tasks: Sequence[str], layers: int) -> None:
    """Make sure that each task, and nothing else, has a layer of the tower.

    Raises:
        ConfigError: naming the key.
    """
    for name in depths:
        if name not in tasks:
            raise ConfigError(f"sharing.depths.{name}: there is no such task; {nearest(name, tasks)}")
    for task in tasks:
        if task not in depths:
            raise ConfigError(
                f"sharing.depths.{task}: this key is required: the layer that task {task!r} reads, 1 to {layers}"
            )
        if depths[task] > layers:
            raise ConfigError(
                f"sharing.depths.{task}: got {depths[task]}, but the tower has {layers} layers; "
                f"allowed: 1 to {layers}, or give the tower more with sharing.tower.layers"
            )
