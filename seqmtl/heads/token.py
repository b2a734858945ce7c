"""One label per word: what softmax, CRF and predicate heads have in common.

K decoders, B sentences, R rows that carry the layer, T words, H features, L labels.
"""

from abc import abstractmethod

from torch import Tensor

from seqmtl.batch import TokenTargets
from seqmtl.heads.base import Head
from seqmtl.layers.decoders import Scorer


class TokenHead(Head[TokenTargets]):
    """A head that labels every word of a sentence."""

    def __init__(self, in_features: int, labels: int, *, hidden: int | None, dropout: float, decoders: int = 1) -> None:
        """Score ``labels`` labels from ``in_features`` features."""
        super().__init__()
        self.scorer = Scorer(in_features, labels, hidden=hidden, decoders=decoders, dropout=dropout)

    @property
    def decoders(self) -> int:
        """K."""
        return self.scorer.outer.weight.shape[0]

    def is_empty(self, targets: TokenTargets) -> bool:
        """Whether no row of the batch carries the layer."""
        return targets.labels.numel() == 0

    def scores(self, features: Tensor) -> Tensor:
        """Features ``[B, T, H]`` to scores ``[K, B, T, L]``."""
        return self.scorer(features)

    @abstractmethod
    def decode(self, scores: Tensor, mask: Tensor, *, decoder: int = 0) -> Tensor:
        """Scores ``[B, T, L]`` of ``decoder`` to label ids ``[B, T]``, 0 where padded."""
