"""Viterbi under the hard constraints of a tagging scheme, linear in the number of labels.

Letters: B sentences, T words, L labels.
"""

import torch
from torch import Tensor

from seqmtl.labels.structure import TagStructure


@torch.no_grad()
def structured_viterbi(log_probs: Tensor, mask: Tensor, structure: TagStructure) -> Tensor:
    """Return the most probable label sequence that the scheme allows (He et al., ACL 2017, section 2.3, for BIO).

    The result is that of Viterbi with transitions of 0 and ``-inf``, but a free label looks only at the best label that
    may end, and any other one at no more than two predecessors.

    Args:
        log_probs: log-probabilities, [B, T, L].
        mask: [B, T] bool, True = real word; right-padded; a sentence, or a batch, without words is legal.
        structure: which label may start, end, and follow which.

    Returns:
        Label ids, [B, T] long, 0 where padded.
    """
    labels = torch.zeros_like(mask, dtype=torch.long)  # [B, T]
    if not labels.shape[1]:
        return labels
    sources = _sources(structure).to(log_probs.device)  # [2, L]
    ends = torch.tensor(structure.ends, device=log_probs.device)  # [L]
    best, best_ends = _prefix_scores(log_probs, mask, structure, sources, ends)  # [T, B, L + 2], T x [B]
    size = len(ends)
    current = best[-1, :, :size].masked_fill(~ends, -torch.inf).argmax(1)  # [B]
    labels[:, -1] = current
    for t in range(len(best) - 1, 0, -1):
        first, second = sources[:, current]  # [B] each
        scores = best[t - 1].gather(1, torch.stack([first, second], 1))  # [B, 2]
        previous = torch.where(scores[:, 1] > scores[:, 0], second, first)
        previous = torch.where(previous == size, best_ends[t - 1], previous)
        current = torch.where(mask[:, t], previous, current)
        labels[:, t - 1] = current
    return labels.masked_fill(~mask, 0)


def _sources(structure: TagStructure) -> Tensor:
    """Return the two columns of the prefix scores that each label looks at, [2, L].

    Columns 0..L-1 are labels, column L is the best label that may end, column L + 1 is ``-inf``.
    """
    best_end = len(structure.ends)
    pairs = [(*(before or (best_end,)), best_end + 1)[:2] for before in structure.continues]
    assert all(len(before) <= 2 for before in structure.continues), "a label continues at most two others"
    return torch.tensor(pairs).T


def _prefix_scores(
    log_probs: Tensor, mask: Tensor, structure: TagStructure, sources: Tensor, ends: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return the scores of the best prefixes, [T, B, L + 2], and the label of the best end of each step, T x [B].

    The columns are those of ``_sources``. Padded steps repeat the last real one.
    """
    rows, length, size = log_probs.shape
    best = log_probs.new_full((length, rows, size + 2), -torch.inf)
    closed = torch.where(ends, 0.0, -torch.inf).to(log_probs.dtype)  # [L]
    starts = torch.tensor(structure.starts, device=log_probs.device)
    padded = ~mask.T[:, :, None]  # [T, B, 1]
    steps = log_probs.transpose(0, 1)  # [T, B, L]
    best_ends: list[Tensor] = []
    for t in range(length):
        if t == 0:
            scores = steps[0].masked_fill(~starts, -torch.inf)
        else:
            before = best[t - 1]
            scores = torch.maximum(before[:, sources[0]], before[:, sources[1]]).add_(steps[t])  # [B, L]
            scores = torch.where(padded[t], before[:, :size], scores)
        end_scores, end_labels = (scores + closed).max(1)  # [B]
        best[t, :, :size], best[t, :, size] = scores, end_scores
        best_ends.append(end_labels)
    return best, best_ends
