"""What one forward pass costs."""

from collections.abc import Mapping
from dataclasses import dataclass

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
