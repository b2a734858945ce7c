"""What a sharing scheme takes and gives.

B sentences, T words, D and H features.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from seqmtl.batch import States


@dataclass(frozen=True)
class SharingOutput:
    """One feature tensor per task, and what the scheme wants to be small.

    Attributes:
        features: ``{task: [B, T, H]}``; tasks may have the same tensor.
        penalties: named scalars, to be added to the loss once per step.
    """

    features: Mapping[str, Tensor]
    penalties: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Coupling:
    """What a scheme has learned about its tasks, for reports and plots.

    Attributes:
        tables: named tables of numbers, each with its row and column names.
    """

    tables: Mapping[str, tuple[Sequence[str], Sequence[str], Tensor]]


class Sharing(nn.Module, ABC):
    """Word states to one feature tensor per task; one call sees all tasks at once.

    Attributes:
        out_features: H, the same for every task.
    """

    out_features: int

    @abstractmethod
    def forward(self, states: States, tasks: Sequence[str]) -> SharingOutput:
        """Features for ``tasks`` from what the encoder gives, words or pieces."""

    def task_parameters(self, task: str) -> list[nn.Parameter]:  # noqa: ARG002  # schemes with towers read it
        """The parameters that only ``task`` uses; they rest when a step has no row for it."""
        return []

    def coupling(self) -> Coupling:
        """What was learned; a scheme without learned sharing has nothing to show."""
        return Coupling({})
