"""The best label sequence under a linear-chain CRF.

Letters: B sentences, T words, L labels. Transitions are [from, to].
"""

import torch
from torch import Tensor


@torch.no_grad()
def viterbi(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Return the highest-scoring label sequence of every sentence (Viterbi 1967).

    Args:
        emissions: scores, [B, T, L].
        transitions: scores, [L, L] (from, to); ``-inf`` forbids.
        start: scores of the first label, [L].
        end: scores of the last label, [L].
        mask: [B, T] bool, True = real word; right-padded, the first word always real.

    Returns:
        Label ids, [B, T] long, 0 where padded.
    """
    assert bool(mask[:, 0].all()), "every sentence needs at least one word"
    best = _prefix_scores(emissions, transitions, start, mask)  # [T, B, L]
    labels = torch.zeros_like(mask, dtype=torch.long)  # [B, T]
    current = (best[-1] + end).argmax(1)  # [B]
    incoming = transitions.T.contiguous()  # [to, from]
    labels[:, -1] = current
    # The forward pass keeps maxima only: which predecessor won is asked for the labels on the best path alone.
    for t in range(len(best) - 1, 0, -1):
        previous = (best[t - 1] + incoming[current]).argmax(1)  # [B]
        current = torch.where(mask[:, t], previous, current)
        labels[:, t - 1] = current
    return labels.masked_fill(~mask, 0)


def _prefix_scores(emissions: Tensor, transitions: Tensor, start: Tensor, mask: Tensor) -> Tensor:
    """Return the score of the best prefix that ends in each label, [T, B, L]; padded steps repeat the last real one."""
    rows, length, size = emissions.shape
    steps = emissions.transpose(0, 1).clone(memory_format=torch.contiguous_format)  # [T, B, L], overwritten below
    padded = ~mask.T[:, :, None]  # [T, B, 1]
    incoming = transitions.T.contiguous()  # [to, from]: the maximum then runs over contiguous memory
    paths = emissions.new_empty(rows, size, size)  # [B, to, from]
    steps[0] += start
    for t in range(1, length):
        torch.add(steps[t - 1][:, None, :], incoming, out=paths)
        following = paths.amax(dim=2).add_(steps[t])  # [B, L]
        torch.where(padded[t], steps[t - 1], following, out=steps[t])
    return steps
