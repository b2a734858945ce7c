"""The score of given labels over packed words, with its gradient written out.

Letters: K decoders, B sentences, N real words of the batch, L labels. Transitions are [from, to].
"""

import torch
from torch import Tensor

from seqmtl.kernels.crf.words import Words, last_words, n_sentences


def score(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, words: Words) -> Tensor:
    """``path_score`` of ``reference`` for emissions [K, N, L] and labels [N], as [K, B], summed in float64."""
    n = n_sentences(words)
    first, last = words.sentences[:n], last_words(words)  # [B] each
    emitted = emissions.gather(2, _of_each(labels, emissions.shape[0])).squeeze(2)  # [K, N]
    moved = transitions[:, labels.index_select(0, words.before), labels[n:]]  # [K, N - B]
    ends = start[:, labels[:n]] + end[:, labels.index_select(0, last)]  # [K, B], longest sentence first
    total = torch.zeros([emissions.shape[0], n], dtype=torch.float64, device=emissions.device)  # [K, B]
    total.index_add_(1, words.sentences, emitted.double())
    total.index_add_(1, words.sentences[n:], moved.double())
    return total.index_add_(1, first, ends.double())


def add_gradients(
    upstream: Tensor,
    labels: Tensor,
    words: Words,
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
) -> None:
    """Add the gradients of the score to those that stand in the last four arguments.

    Args:
        upstream: gradient of the score of each word's sentence, [K, N].
        labels: [N].
        words: where they are.
        emissions: [K, N, L].
        transitions: [K, L, L].
        start: [K, L].
        end: [K, L].
    """
    n = n_sentences(words)
    emissions.scatter_add_(2, _of_each(labels, emissions.shape[0]), upstream.to(emissions.dtype).unsqueeze(2))
    upstream = upstream.to(transitions.dtype)
    moves = labels.index_select(0, words.before) * start.shape[1] + labels[n:]  # [N - B], index into L * L
    moved = torch.zeros_like(transitions).flatten(1)
    transitions += moved.index_add_(1, moves, upstream[:, n:]).view_as(transitions)
    start += torch.zeros_like(start).index_add_(1, labels[:n], upstream[:, :n])
    end += torch.zeros_like(end).index_add_(1, labels.index_select(0, last_words(words)), upstream[:, :n])


def _of_each(labels: Tensor, decoders: int) -> Tensor:
    """``labels`` as an index into the labels of emissions, [K, N, 1]."""
    return labels[None, :, None].expand(decoders, -1, 1)
