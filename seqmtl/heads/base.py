"""What a head does: features to scores, scores to losses, scores to labels.

K decoders, B sentences, R rows that carry the layer, N predicates, T words, H features, L labels.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from seqmtl.batch import Targets

TargetsT = TypeVar("TargetsT", bound=Targets)


@dataclass(frozen=True)
class HeadLoss:
    """A loss before it is normalised, so that batches, micro-batches and processes can be weighed by their words.

    Attributes:
        total: sum over the words of the batch, per decoder, ``[K]``.
        count: the number of those words, a scalar; 0 when no row carries the layer.
    """

    total: Tensor
    count: Tensor

    def mean(self) -> Tensor:
        """The mean over words, per decoder, ``[K]``; 0 for an empty batch."""
        return self.total / self.count.clamp(min=1.0)


class Head(nn.Module, ABC, Generic[TargetsT]):
    """K parallel decoders of one task (K = 1 unless pseudo-tasks are on).

    What a head has once, whatever K is, belongs to the encoder F of Meyerson and Miikkulainen (2018).
    """

    def forward(self, features: Tensor, mask: Tensor, targets: TargetsT) -> HeadLoss:
        """The loss of features ``[B, T, H]`` under mask ``[B, T]``; with every parameter in the graph, rows or not."""
        if self.is_empty(targets):
            nothing = sum((parameter.sum() for parameter in self.parameters()), start=features.sum()) * 0.0
            return HeadLoss(nothing.expand(self.decoders), mask.new_zeros((), dtype=features.dtype))
        return self.loss(features, mask, targets)

    @property
    @abstractmethod
    def decoders(self) -> int:
        """K."""

    @abstractmethod
    def own(self) -> dict[str, Tensor]:
        """What each decoder has for itself, by its name in the head: parameters and dropout rates, ``[K, ...]``."""

    def own_parameters(self) -> list[nn.Parameter]:
        """The parameters that each decoder has for itself."""
        return [values for values in self.own().values() if isinstance(values, nn.Parameter)]

    @abstractmethod
    def is_empty(self, targets: TargetsT) -> bool:
        """Whether the targets hold nothing to learn from."""

    @abstractmethod
    def loss(self, features: Tensor, mask: Tensor, targets: TargetsT) -> HeadLoss:
        """The loss when there is something to learn from."""
