"""The log-likelihood of a linear-chain CRF, written as the textbook writes it; the oracle of ``fast``.

Letters: K decoders, B sentences, T words, L labels. Transitions are [from, to].
"""

import torch
from torch import Tensor

# Stands for -inf inside: the gradient of a logsumexp over nothing but -inf is nan.
_FORBIDDEN = -1e30


def log_likelihood(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, mask: Tensor
) -> Tensor:
    """Return the log-probability of ``labels``, [K, B], by autograd; the arguments are those of ``fast``."""
    path = path_score(emissions, transitions, start, end, labels, mask)
    return path - log_partition(emissions, transitions, start, end, mask)


def log_partition(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Return the log of the summed exponentiated scores of all label sequences, in log space and by autograd.

    Args:
        emissions: scores, [K, B, T, L].
        transitions: scores, [K, L, L] (from, to); ``-inf`` forbids.
        start: scores of the first label, [K, L].
        end: scores of the last label, [K, L].
        mask: [B, T] bool, True = real word; right-padded, the first word always real.

    Returns:
        [K, B], natural logarithms, in the wider dtype of ``emissions`` and ``transitions``; ``-inf`` where every label
        sequence is forbidden.
    """
    dtype = torch.promote_types(emissions.dtype, transitions.dtype)
    emissions, transitions, start, end = (
        scores.double().clamp(min=_FORBIDDEN) for scores in (emissions, transitions, start, end)
    )
    alpha = start[:, None] + emissions[:, :, 0]  # [K, B, L]
    for t in range(1, emissions.shape[2]):
        paths = alpha[..., None] + transitions[:, None]  # [K, B, L, L]
        following = paths.logsumexp(dim=2) + emissions[:, :, t]  # [K, B, L]
        alpha = torch.where(mask[None, :, t, None], following, alpha)
    value = (alpha + end[:, None]).logsumexp(dim=2)  # [K, B]
    return torch.where(value < _FORBIDDEN / 2, -torch.inf, value).to(dtype)


def path_score(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, mask: Tensor
) -> Tensor:
    """Return the unnormalised log score of ``labels`` under each decoder.

    Args:
        emissions: scores, [K, B, T, L].
        transitions: scores, [K, L, L] (from, to).
        start: scores of the first label, [K, L].
        end: scores of the last label, [K, L].
        labels: label ids, [B, T] long; what stands at a padded position is ignored.
        mask: [B, T] bool, True = real word; right-padded, the first word always real.

    Returns:
        [K, B], in the wider dtype of ``emissions`` and ``transitions``; ``-inf`` where the labels take a forbidden
        transition.
    """
    assert bool(mask[:, 0].all()), "every sentence needs at least one word"
    labels = labels.masked_fill(~mask, 0)
    emitted = emissions.gather(3, labels[None, :, :, None].expand(len(emissions), -1, -1, 1)).squeeze(3)  # [K, B, T]
    emitted = emitted.to(torch.promote_types(emissions.dtype, transitions.dtype))
    moved = transitions[:, labels[:, :-1], labels[:, 1:]]  # [K, B, T-1]
    last = labels.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)  # [B]
    # where, not a product: a forbidden transition between padded positions is -inf, and 0 * -inf is nan
    inner = torch.where(mask, emitted, 0).sum(2) + torch.where(mask[:, 1:], moved, 0).sum(2)
    return start[:, labels[:, 0]] + inner + end[:, last]  # [K, B]
