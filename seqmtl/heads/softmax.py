"""Each word on its own.

K decoders, B sentences, R rows that carry the layer, T words, H features, L labels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmtl.batch import IGNORED, TokenTargets
from seqmtl.heads.base import HeadLoss
from seqmtl.heads.token import TokenHead
from seqmtl.kernels.structured_viterbi import structured_viterbi
from seqmtl.labels import TagStructure


class SoftmaxHead(TokenHead):
    """Cross-entropy per word; with a tag structure, decoding is constrained to sequences that the scheme allows.

    Class weights multiply a word's loss and leave its count at 1. ``balanced_weights`` have mean 1 over the training
    words, so the mean loss keeps its scale, and words stay the unit in which batches are weighed.
    """

    class_weights: Tensor

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        structure: TagStructure | None = None,
        bilstm: int | None = None,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Label words; ``class_weights`` has one weight per label, ``structure`` None leaves decoding free."""
        super().__init__(
            in_features,
            labels,
            hidden=hidden,
            dropout=dropout,
            bilstm=bilstm,
            decoders=decoders,
            own_dropout=own_dropout,
        )
        self.label_smoothing = label_smoothing
        self.structure = structure
        weights = torch.ones(labels) if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights)  # persistent: transformers leaves other buffers as garbage

    def reset_parameters(self) -> None:
        """All classes weigh the same."""
        nn.init.ones_(self.class_weights)

    def loss(self, features: Tensor, mask: Tensor, targets: TokenTargets) -> HeadLoss:
        """Weighted cross-entropy over the words of the rows that carry the layer."""
        scores = self.scores(features[targets.rows], mask[targets.rows])  # [K, R, T, L]
        total = word_cross_entropy(
            scores, labels=targets.labels, class_weights=self.class_weights, label_smoothing=self.label_smoothing
        )
        return HeadLoss(total, (targets.labels != IGNORED).sum().to(total.dtype))

    def labels_of_ensemble(self, features: Tensor, mask: Tensor) -> Tensor:
        """Decoded from the mean of the decoders' probabilities."""
        return self.decode(mean_log_probabilities(self.scores(features, mask)), mask)

    def decode(self, scores: Tensor, mask: Tensor, *, decoder: int = 0) -> Tensor:  # noqa: ARG002
        """The best label of each word, or the best allowed sequence."""
        if self.structure is None:
            return scores.argmax(dim=-1).masked_fill(~mask, 0)
        return structured_viterbi(scores.float().log_softmax(dim=-1), mask, self.structure)


class PredicateHead(SoftmaxHead):
    """Which words are predicates: label 1 against label 0."""

    def __init__(
        self,
        in_features: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        bilstm: int | None = None,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Find predicates from ``in_features`` features."""
        super().__init__(
            in_features, 2, hidden=hidden, dropout=dropout, bilstm=bilstm, decoders=decoders, own_dropout=own_dropout
        )


def word_cross_entropy(
    scores: Tensor, *, labels: Tensor, class_weights: Tensor | None, label_smoothing: float
) -> Tensor:
    """Cross-entropy summed over words, per decoder.

    Args:
        scores: ``[K, R, T, L]``.
        labels: ``IGNORED`` where padded, ``[R, T]``.
        class_weights: ``[L]``; None: all 1.
        label_smoothing: share of the target that goes to all labels alike.

    Returns:
        ``[K]``.
    """
    by_word = scores.movedim(0, -2).float()  # [R, T, K, L], the order in which they lie in memory
    losses = F.cross_entropy(
        by_word.flatten(0, 2),  # [R * T * K, L]
        labels[..., None].expand(by_word.shape[:-1]).flatten(),
        weight=None if class_weights is None else class_weights.float(),
        label_smoothing=label_smoothing,
        ignore_index=IGNORED,
        reduction="none",
    )
    return losses.view(-1, scores.shape[0]).T.sum(dim=1)


def mean_log_probabilities(scores: Tensor) -> Tensor:
    """The logarithm of the mean of the K distributions that scores ``[K, ..., L]`` stand for, ``[..., L]``."""
    return scores.float().log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(scores))


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Weights in inverse proportion to how often each label occurs, with mean 1 over the words counted."""
    present = sum(count > 0 for count in counts)
    return [sum(counts) / (present * count) if count else 0.0 for count in counts]
