"""The adversary of shared features: it tells tasks apart, and they learn to give it no chance.

M tasks, B sentences, T words, S features.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmtl.layers.gradient_reversal import reverse_gradient


class TaskAdversary(nn.Module):
    """The task discriminator ``softmax(b + U s)`` of ASP-MTL (Liu, Qiu and Huang, ACL 2017, equations 12 and 13).

    ``s`` are the shared features of a sentence, behind a gradient reversal layer: the discriminator learns to name the
    sentence's task, what lies below learns at ``weight`` (lambda) times that gradient to keep it from doing so. Lambda
    is on the reversed gradient alone; the discriminator learns at its full rate.

    Deviations: the paper's ``s`` is the last state of an LSTM, here the mean over the words of a sentence. There a
    sentence is of one task, here it may teach several: the target is then the uniform distribution over those, and
    sentences that teach none are left out. A sentence without predicates teaches no roles, whatever its corpus has:
    it is not of that task. Where every sentence teaches every task, all targets are the same and there is nothing to
    learn; the adversary is for mixtures of corpora with different layers. The loss is a mean over sentences, where the
    paper sums. The reversed gradient reaches the encoder, too, which all tasks share as well.
    """

    def __init__(self, in_features: int, *, tasks: Sequence[str], weight: float) -> None:
        """Tell ``tasks`` apart by ``in_features`` features."""
        super().__init__()
        self.discriminator = nn.Linear(in_features, len(tasks))
        self.tasks = tuple(tasks)
        self.weight = weight

    def forward(self, shared: Tensor, mask: Tensor, *, rows: Mapping[str, Tensor]) -> Tensor:
        """The discriminator's loss.

        Args:
            shared: features of words, ``[B, T, S]``.
            mask: True at real words, ``[B, T]``.
            rows: the sentences that teach each task, bool ``[B]``; a task that is not there is taught by none.

        Returns:
            A scalar; 0 when no sentence carries a task.
        """
        none = mask.new_zeros(len(mask))
        carried = torch.stack([rows.get(task, none) for task in self.tasks], dim=1).float()  # [B, M]
        targets = carried / carried.sum(dim=1, keepdim=True).clamp(min=1.0)  # rows that carry none are 0, and cost 0
        scores = self.discriminator(reverse_gradient(mean_over_words(shared, mask), scale=self.weight))  # [B, M]
        losses = F.cross_entropy(scores.float(), targets, reduction="none")  # [B]
        return losses.sum() / targets.sum().clamp(min=1.0)


def mean_over_words(states: Tensor, mask: Tensor) -> Tensor:
    """Features of words ``[B, T, S]`` to features of sentences, ``[B, S]``; 0 for a sentence without words."""
    sums = states.masked_fill(~mask[..., None], 0.0).sum(dim=1)  # [B, S]
    return sums / mask.sum(dim=1, keepdim=True).clamp(min=1)
