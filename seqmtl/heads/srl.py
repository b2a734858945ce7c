"""Semantic roles of all predicates of a batch, each sentence encoded once.

K decoders, B sentences, N predicates, T words, H features, M predicate-aware features, L labels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from seqmtl.batch import IGNORED, FrameTargets
from seqmtl.heads.base import Head, HeadLoss
from seqmtl.heads.softmax import mean_log_probabilities, word_cross_entropy
from seqmtl.kernels.structured_viterbi import structured_viterbi
from seqmtl.labels import TagStructure
from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.layers.decoders import Scorer

PAIRS_AT_ONCE = 2**18  # 256 features of so many predicate-word pairs are 256 MiB
SCORES_AT_ONCE = 2**24  # in decoding, where no graph is kept


class SRLHead(Head[FrameTargets]):
    """Roles as BIO tags over words, for every predicate, conditioned in the head (METHODS.md section 8, mode 2).

    Word t as seen by predicate p is ``gelu(W h_t + V h_p + e(t - p))``: both projections are computed once per sentence
    and only added up per predicate; ``e`` embeds the clipped distance, its entry 0 being the predicate indicator of He
    et al. (2017). A small contextualiser reads these states for every predicate at once, K decoders score the labels.

    Of pseudo-task augmentation, a decoder is the linear map from these states to scores, with the dropout before it:
    projections, distances and contextualiser are there once and belong to the encoder F, which all decoders train.
    """

    def __init__(
        self,
        in_features: int,
        labels: int,
        *,
        contextualiser: nn.Module,
        width: int,
        max_distance: int,
        dropout: float,
        structure: TagStructure,
        predicate_label: int | None,
        decoders: int = 1,
        own_dropout: bool = False,
    ) -> None:
        """Compose the head.

        Args:
            in_features: H.
            labels: L.
            contextualiser: states ``[N, T, M]`` and mask ``[N, T]`` to ``[N, T, M]``.
            width: M.
            max_distance: farther words share one distance embedding per side.
            dropout: on the predicate-aware states and before the decoders.
            structure: which label may follow which.
            predicate_label: id of ``B-V``, which decoding puts at the predicate and nowhere else; None: no such label.
            decoders: K.
            own_dropout: whether each decoder has its own mask and rate before it.
        """
        super().__init__()
        self.word = nn.Linear(in_features, width)
        self.predicate = nn.Linear(in_features, width, bias=False)
        self.distance = nn.Embedding(2 * max_distance + 1, width)
        self.max_distance = max_distance
        self.dropout = nn.Dropout(dropout)
        self.contextualiser = contextualiser
        self.scorer = Scorer(
            2 * width, labels, hidden=None, decoders=decoders, dropout=dropout, own_dropout=own_dropout
        )
        self.structure = structure
        self.predicate_label = predicate_label
        self.pairs_at_once, self.scores_at_once = PAIRS_AT_ONCE, SCORES_AT_ONCE
        nn.init.normal_(self.distance.weight, std=0.02)

    @property
    def decoders(self) -> int:
        """K."""
        return self.scorer.decoders

    def own(self) -> dict[str, Tensor]:
        """The scorer."""
        return {f"scorer.{name}": values for name, values in self.scorer.own().items()}

    def is_empty(self, targets: FrameTargets) -> bool:
        """Whether the batch has no predicate."""
        return targets.labels.numel() == 0

    def scores(self, features: Tensor, mask: Tensor, predicates: Tensor) -> Tensor:
        """Label scores of every word for every predicate.

        Args:
            features: ``[B, T, H]``.
            mask: ``[B, T]``.
            predicates: (sentence, word), ``[N, 2]``; N may be 0.

        Returns:
            ``[K, N, T, L]``.
        """
        return self.scorer(self.states(features, mask, predicates))

    def states(self, features: Tensor, mask: Tensor, predicates: Tensor) -> Tensor:
        """What the decoders read, of every word for every predicate, ``[N, T, 2M]``."""
        sentence, word = predicates.unbind(dim=1)  # [N]
        of_predicate = self.predicate(features[sentence, word])  # [N, M]
        positions = torch.arange(features.shape[1], device=features.device)
        distance = (positions - word[:, None]).clamp(-self.max_distance, self.max_distance)  # [N, T]
        # Not [sentence], for the reason that kernels/rows.py gives.
        states = self.word(features).index_select(0, sentence).add_(of_predicate[:, None])  # [N, T, M]
        states = self.dropout(F.gelu(states + self.distance(distance + self.max_distance)))
        context = self.contextualiser(states, mask[sentence])  # [N, T, M]
        return torch.cat((states, context), dim=-1)

    def loss(self, features: Tensor, mask: Tensor, targets: FrameTargets) -> HeadLoss:
        """Cross-entropy, a mean over the words of all predicates.

        Predicates come in runs of at most ``pairs_at_once`` predicate-word pairs, over all decoders. More than one run
        (a very long sentence) is computed again in the backward pass, so memory stays bounded however many predicates
        there are.
        """
        run = max(1, self.pairs_at_once // (mask.shape[1] * self.decoders))
        parts = list(zip(targets.predicates.split(run), targets.labels.split(run), strict=True))
        if len(parts) == 1:
            total = self._total(features, mask, *parts[0])
        else:
            totals = [checkpoint(self._total, features, mask, *part, use_reentrant=False) for part in parts]
            total = torch.stack(totals).sum(dim=0)
        return HeadLoss(total, (targets.labels != IGNORED).sum().to(total.dtype))

    def _total(self, features: Tensor, mask: Tensor, predicates: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the words of some predicates, ``[K]``."""
        states = self.states(features, mask, predicates)  # [N, T, 2M]
        if self.decoders > 1:  # then scores of padding, which nobody needs, are not cheap
            real = (labels != IGNORED).flatten().nonzero()[:, 0]  # [n]
            states, labels = states.flatten(0, 1).index_select(0, real)[None], labels.flatten()[real][None]
        scores = self.scorer(states)
        return word_cross_entropy(scores, labels=labels, class_weights=None, label_smoothing=0.0)

    def labels(self, features: Tensor, mask: Tensor, predicates: Tensor, *, decoder: int) -> Tensor:
        """What one decoder says, to the bit as if it were the only one.

        Args:
            features: ``[B, T, H]``.
            mask: ``[B, T]``.
            predicates: ``[N, 2]``; any number of them is labelled in bounded memory.
            decoder: which.

        Returns:
            Label ids, 0 where padded, ``[N, T]``.
        """

        def label(part: Tensor) -> Tensor:
            scores = self.scorer.one(self.states(features, mask, part), decoder=decoder)
            return self.decode(scores, mask, part)

        return self._in_runs(label, mask, predicates, decoders=1)

    def labels_of_each(self, features: Tensor, mask: Tensor, predicates: Tensor) -> Tensor:
        """What each decoder says, ``[K, N, T]``."""

        def label(part: Tensor) -> Tensor:
            scores = self.scores(features, mask, part)
            return torch.stack([self.decode(of_one, mask, part) for of_one in scores])  # [K, n, T]

        labels = self._in_runs(label, mask, predicates, decoders=self.decoders)
        return labels if len(predicates) else labels.expand(self.decoders, -1, -1)

    def labels_of_ensemble(self, features: Tensor, mask: Tensor, predicates: Tensor) -> Tensor:
        """What all decoders say together: decoded from the mean of their probabilities, ``[N, T]``."""

        def label(part: Tensor) -> Tensor:
            return self.decode(mean_log_probabilities(self.scores(features, mask, part)), mask, part)

        return self._in_runs(label, mask, predicates, decoders=self.decoders)

    def decode(self, scores: Tensor, mask: Tensor, predicates: Tensor) -> Tensor:
        """The best valid role sequence of each predicate.

        Args:
            scores: of one decoder, ``[N, T, L]``.
            mask: of the sentences, ``[B, T]``.
            predicates: ``[N, 2]``.

        Returns:
            Label ids, 0 where padded, ``[N, T]``.
        """
        sentence, word = predicates.unbind(dim=1)
        log_probs = scores.float().log_softmax(dim=-1)
        if self.predicate_label is not None:
            positions = torch.arange(scores.shape[1], device=scores.device)
            at_predicate = (positions == word[:, None])[..., None]  # [N, T, 1]
            is_v = torch.arange(scores.shape[2], device=scores.device) == self.predicate_label  # [L]
            log_probs = log_probs.masked_fill(at_predicate != is_v, float("-inf"))
        return structured_viterbi(log_probs, mask[sentence], self.structure)

    def _in_runs(self, label: Callable[[Tensor], Tensor], mask: Tensor, predicates: Tensor, *, decoders: int) -> Tensor:
        """``label`` of the predicates in runs of at most ``scores_at_once`` scores of so many decoders."""
        if not len(predicates):
            return predicates.new_zeros(0, mask.shape[1])
        per_predicate = mask.shape[1] * self.scorer.outer.weight.shape[1] * decoders
        parts = predicates.split(max(1, self.scores_at_once // per_predicate))
        return torch.cat([label(part) for part in parts], dim=-2)


class AttentionContext(nn.Module):
    """Transformer blocks over the predicate-aware states."""

    def __init__(self, width: int, *, layers: int, dropout: float) -> None:
        """``layers`` pre-norm blocks of ``width`` features with heads of 32."""
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, max(1, width // 32), 2 * width, dropout, F.gelu, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """``[N, T, M]`` to ``[N, T, M]``."""
        if not states.numel():  # torch refuses attention over no sequence
            return states
        for block in self.blocks:
            states = block(states, src_key_padding_mask=~mask)
        return states


class RecurrentContext(nn.Module):
    """BiLSTMs over the predicate-aware states (He et al. 2017 use eight; on a contextual encoder few are enough)."""

    def __init__(self, width: int, *, layers: int, dropout: float) -> None:
        """``layers`` BiLSTMs of ``width`` features, both directions together."""
        super().__init__()
        self.stack = BiLSTMStack(width, width=width, layers=layers, dropout=dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """``[N, T, M]`` to ``[N, T, M]``."""
        return self.stack(states, mask)
