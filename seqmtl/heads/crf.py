"""A linear-chain conditional random field over the words of a sentence.

K decoders, B sentences, R rows that carry the layer, T words, H features, L labels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from seqmtl.batch import IGNORED, TokenTargets
from seqmtl.heads.base import HeadLoss
from seqmtl.heads.token import TokenHead
from seqmtl.kernels.crf import log_likelihood, viterbi
from seqmtl.labels import TagStructure, allowed_transitions

FORBIDDEN = -1e4  # finite, so that a path over a forbidden transition costs much instead of everything


class CRFHead(TokenHead):
    """Negative log-likelihood of the whole sequence (Lafferty et al. 2001; Lample et al. 2016 for the neural form).

    With a tag structure the transitions that the scheme forbids get a score of -1e4, in training and in decoding. The
    constraint is derived from the labels when it is used: a buffer that is not saved comes back as garbage.
    """

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        structure: TagStructure | None = None,
        bilstm: int | None = None,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Label sequences; ``structure`` None allows every transition."""
        super().__init__(
            in_features,
            labels,
            hidden=hidden,
            dropout=dropout,
            bilstm=bilstm,
            decoders=decoders,
            own_dropout=own_dropout,
        )
        self.transitions = nn.Parameter(torch.empty(decoders, labels, labels))  # from, to
        self.start = nn.Parameter(torch.empty(decoders, labels))
        self.end = nn.Parameter(torch.empty(decoders, labels))
        self.structure = structure
        self._constraint: tuple[Tensor, Tensor, Tensor] | None = None
        self.reset_parameters()

    def __getstate__(self) -> dict[str, Any]:  # what is derived is no part of what this is, for copies and hashes
        return {**self.__dict__, "_constraint": None}

    def reset_parameters(self) -> None:
        """Small uniform transition scores."""
        for parameter in (self.transitions, self.start, self.end):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def own(self) -> dict[str, Tensor]:
        """The scorer, and the scores of transitions, starts and ends."""
        return {**super().own(), "transitions": self.transitions, "start": self.start, "end": self.end}

    def is_empty(self, targets: TokenTargets) -> bool:
        """Whether no row of the batch, or no word of its rows, carries the layer."""
        return not bool((targets.labels != IGNORED).any())  # a chain needs a word, where a sum of no words is 0

    def loss(self, features: Tensor, mask: Tensor, targets: TokenTargets) -> HeadLoss:
        """Negative log-likelihood of the gold sequences; ``count`` is their words, so that it weighs like a softmax."""
        inside = mask[targets.rows]  # [R, T]
        kept = inside[:, 0]  # an empty sentence has no sequence
        rows, inside, labels = targets.rows[kept], inside[kept], targets.labels[kept].clamp(min=0)
        scores = self.scores(features[rows], inside).float()  # [K, R, T, L]
        surprise = -log_likelihood(scores, *self._chain(), labels, inside)  # [K, R]
        return HeadLoss(surprise.sum(dim=1), inside.sum().to(surprise.dtype))

    def labels_of_ensemble(self, features: Tensor, mask: Tensor) -> Tensor:
        """The best sequence under the mean of the decoders' scores, transitions included."""
        scores = self.scores(features, mask).mean(dim=0)
        return _best_sequences(scores, mask, *(part.mean(dim=0) for part in self._chain()))

    def decode(self, scores: Tensor, mask: Tensor, *, decoder: int = 0) -> Tensor:
        """The best sequence under the transitions of ``decoder``."""
        return _best_sequences(scores, mask, *(part[decoder] for part in self._chain()))

    def _chain(self) -> tuple[Tensor, Tensor, Tensor]:
        """Transition ``[K, L, L]``, start and end scores ``[K, L]``, forbidden ones pushed down."""
        if self.structure is None:
            return self.transitions, self.start, self.end
        if self._constraint is None or self._constraint[0].device != self.start.device:
            start, transitions, end = allowed_transitions(self.structure)
            allowed = (torch.tensor(part, device=self.start.device) for part in (transitions, start, end))
            self._constraint = tuple((~part).float() * FORBIDDEN for part in allowed)  # type: ignore[assignment]
        assert self._constraint is not None
        transitions, start, end = self._constraint
        return self.transitions + transitions, self.start + start, self.end + end


def _best_sequences(scores: Tensor, mask: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Viterbi over scores ``[B, T, L]``, some of whose sentences may be empty."""
    labels = torch.zeros_like(mask, dtype=torch.long)
    if mask.shape[1] == 0:
        return labels
    kept = mask[:, 0]
    labels[kept] = viterbi(scores[kept].float(), transitions, start, end, mask[kept])
    return labels
