"""One label per word: what softmax, CRF and predicate heads have in common.

K decoders, B sentences, R rows that carry the layer, T words, H features, L labels.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from seqmtl.batch import TokenTargets
from seqmtl.heads.base import Head
from seqmtl.layers.decoders import Scorer


class TokenHead(Head[TokenTargets]):
    """A head that labels every word of a sentence."""

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        hidden: int | None,
        dropout: float,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Score ``labels`` labels from ``in_features`` features."""
        super().__init__()
        self.scorer = Scorer(
            in_features, labels, hidden=hidden, decoders=decoders, dropout=dropout, own_dropout=own_dropout
        )

    @property
    def decoders(self) -> int:
        """K."""
        return self.scorer.decoders

    def own(self) -> dict[str, Tensor]:
        """The scorer."""
        return {f"scorer.{name}": values for name, values in self.scorer.own().items()}

    def is_empty(self, targets: TokenTargets) -> bool:
        """Whether no row of the batch carries the layer."""
        return targets.labels.numel() == 0

    def scores(self, features: Tensor) -> Tensor:
        """Features ``[B, T, H]`` to scores ``[K, B, T, L]``."""
        return self.scorer(features)

    def scores_of(self, features: Tensor, *, decoder: int) -> Tensor:
        """Features ``[B, T, H]`` to the scores of one decoder ``[B, T, L]``, to the bit as if it were the only one."""
        return self.scorer.one(features, decoder=decoder)

    def labels(self, features: Tensor, mask: Tensor, *, decoder: int) -> Tensor:
        """What one decoder says of features ``[B, T, H]``: label ids ``[B, T]``, 0 where padded."""
        return self.decode(self.scores_of(features, decoder=decoder), mask, decoder=decoder)

    def labels_of_each(self, features: Tensor, mask: Tensor) -> Tensor:
        """What each decoder says, ``[K, B, T]``."""
        scores = self.scores(features)
        return torch.stack([self.decode(scores[k], mask, decoder=k) for k in range(self.decoders)])

    @abstractmethod
    def labels_of_ensemble(self, features: Tensor, mask: Tensor) -> Tensor:
        """What all decoders say together, ``[B, T]`` (eq. 6 of Meyerson and Miikkulainen 2018)."""

    @abstractmethod
    def decode(self, scores: Tensor, mask: Tensor, *, decoder: int = 0) -> Tensor:
        """Scores ``[B, T, L]`` of ``decoder`` to label ids ``[B, T]``, 0 where padded."""
