"""One label per word: what softmax, CRF and predicate heads have in common.

K decoders, B sentences, R rows that carry the layer, T words, H features, L labels.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from seqmtl.batch import TokenTargets
from seqmtl.heads.base import Head
from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.layers.decoders import Scorer


class TokenHead(Head[TokenTargets]):
    """A head that labels every word of a sentence.

    With a BiLSTM of its own (Huang, Xu and Yu 2015; Lample et al. 2016) it scores what this makes of the features,
    beside the features themselves: what one task needs of a word's neighbours need not be shared. The BiLSTM is there
    once, whatever K is.
    """

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        hidden: int | None,
        dropout: float,
        bilstm: int | None = None,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Score ``labels`` labels from ``in_features`` features; ``bilstm`` is the width of both directions."""
        super().__init__()
        self.bilstm = None if bilstm is None else BiLSTMStack(in_features, width=bilstm, layers=1, dropout=dropout)
        self.scorer = Scorer(
            in_features + (bilstm or 0),
            labels,
            hidden=hidden,
            decoders=decoders,
            dropout=dropout,
            own_dropout=own_dropout,
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

    def scoring_parameters(self) -> list[nn.Parameter]:
        """On which the scores of words depend: not the transitions of a CRF."""
        parts = [self.scorer] if self.bilstm is None else [self.bilstm, self.scorer]
        return [parameter for part in parts for parameter in part.parameters()]

    def scores(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features ``[B, T, H]`` to scores ``[K, B, T, L]``."""
        return self.scorer(self._read(features, mask))

    def scores_of(self, features: Tensor, mask: Tensor, *, decoder: int) -> Tensor:
        """Features ``[B, T, H]`` to the scores of one decoder ``[B, T, L]``, to the bit as if it were the only one."""
        return self.scorer.one(self._read(features, mask), decoder=decoder)

    def labels(self, features: Tensor, mask: Tensor, *, decoder: int) -> Tensor:
        """What one decoder says of features ``[B, T, H]``: label ids ``[B, T]``, 0 where padded."""
        return self.decode(self.scores_of(features, mask, decoder=decoder), mask, decoder=decoder)

    def labels_of_each(self, features: Tensor, mask: Tensor) -> Tensor:
        """What each decoder says, ``[K, B, T]``."""
        scores = self.scores(features, mask)
        return torch.stack([self.decode(scores[k], mask, decoder=k) for k in range(self.decoders)])

    def _read(self, features: Tensor, mask: Tensor) -> Tensor:
        """What the decoders read, ``[B, T, H']``."""
        if self.bilstm is None:
            return features
        return torch.cat((features, self.bilstm(features, mask)), dim=-1)

    @abstractmethod
    def labels_of_ensemble(self, features: Tensor, mask: Tensor) -> Tensor:
        """What all decoders say together, ``[B, T]`` (eq. 6 of Meyerson and Miikkulainen 2018)."""

    @abstractmethod
    def decode(self, scores: Tensor, mask: Tensor, *, decoder: int = 0) -> Tensor:
        """Scores ``[B, T, L]`` of ``decoder`` to label ids ``[B, T]``, 0 where padded."""
