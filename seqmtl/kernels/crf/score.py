"""The score that a linear-chain CRF gives to one label sequence.

Letters: K decoders, B sentences, T words, L labels. Transitions are [from, to].
"""

import torch
from torch import Tensor


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
