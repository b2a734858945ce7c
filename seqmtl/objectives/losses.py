"""What one forward pass costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from seqmtl.heads.base import HeadLoss


@dataclass(frozen=True)
class Losses:
    """What one forward pass costs.

    Attributes:
        tasks: the loss of each task, not yet normalised.
        penalties: named scalars of the sharing scheme.
    """

    tasks: Mapping[str, HeadLoss]
    penalties: Mapping[str, Tensor]

    def detach(self) -> Self:
        """The same numbers without what made them."""
        return replace(
            self,
            tasks={task: replace(loss, total=loss.total.detach()) for task, loss in self.tasks.items()},
            penalties={name: penalty.detach() for name, penalty in self.penalties.items()},
        )
