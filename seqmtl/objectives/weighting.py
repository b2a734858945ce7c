"""Static weights: the joint loss is a weighted sum of the tasks' mean losses.

K decoders.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seqmtl.objectives.losses import Losses


def joint_loss(
    losses: Losses, *, weights: Mapping[str, float], words: Mapping[str, int], processes: int, micro_batches: int
) -> Tensor:
    """This micro-batch's part of ``sum_m lambda_m L_m + sum penalties`` (METHODS.md section 1.1).

    ``L_m`` is the mean over the labelled words of the *whole* optimiser step, all processes and micro-batches together;
    so 1 x 32, 2 x 16 and 2 x 8 x accumulation 2 sentences have the same gradient.

    A penalty has a value in each micro-batch on each process, and the step's is their mean. One on parameters alone
    (distance, orthogonality of weights) is the same in all of them and so counts once per step, exactly. One over the
    sentences or words of a micro-batch (adversary, reconstruction) becomes a mean of means, in which every micro-batch
    weighs the same however many words it has; orthogonality of features grows with the words of a micro-batch, too.

    Args:
        losses: of one micro-batch on one process.
        weights: lambda of each task.
        words: labelled words of each task in the whole step.
        processes: whose gradients are averaged.
        micro_batches: whose gradients are added up.

    Returns:
        A scalar whose gradients, averaged over processes and summed over micro-batches, are the step's.
    """
    total = torch.zeros((), device=next(iter(losses.tasks.values())).total.device)
    for task, loss in losses.tasks.items():
        mean = loss.total.mean() / max(1, words[task])  # over decoders, then over words
        total = total + weights[task] * processes * mean
    for penalty in losses.penalties.values():
        total = total + penalty / micro_batches
    return total
