"""The joint many-task model (Hashimoto et al., EMNLP 2017).

B sentences, T words, D features of a word, H features of a layer, L labels, E features of a label embedding.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from seqmtl.batch import States, WordStates
from seqmtl.sharing.base import Request, Sharing, SharingOutput, keep_modules
from seqmtl.sharing.towers.bilstm import BiLSTMTower


class JointManyTask(Sharing):
    """A BiLSTM layer per task, stacked in linguistic order; each also reads what the lower tasks predict (section 2).

    The first layer reads the words ``x_t``, layer n reads ``[h_t^(n-1); x_t; y_t]``: the layer below, the words again,
    and the sum ``y_t`` of the lower tasks' label embeddings, each ``sum_j p(y_t = j | h_t) l(j)``. The probabilities
    are those of the task's own head, in training too. A task whose head does not label words has no label embedding.

    Deviations: ``x_t`` is what the encoder gives, which with a BiLSTM encoder of 0 layers are embeddings and spelling,
    as in the paper; the paper's tasks above words (relatedness, entailment) are left out; dropout has one mask per
    sentence and one rate for all that a layer reads. The paper's classifier has a ReLU layer, and output weights that
    start at 0: ``hidden`` of a task's head gives it a hidden layer, with GELU and the weights of ``nn.Linear``. A CRF
    gives the softmax of its unary scores. The paper does not say that the gradient stops at ``p``, so it flows unless
    ``detach_label_embeddings``. Training as in the paper is ``mixture.schedule: sequential`` with
    ``SuccessiveRegularisation``; AdamW and the schedules of ``training`` stand for its SGD with a rate that falls per
    epoch, its clipping by depth, and its L2.
    """

    def __init__(
        self,
        towers: Mapping[str, BiLSTMTower],
        labels: Mapping[str, "LabelEmbedding"],
        *,
        detach_label_embeddings: bool,
    ) -> None:
        """Stack the towers.

        Args:
            towers: of each task, lowest first; ``stacked_sizes`` says how many features each reads.
            labels: the label embedding of each task that has one and stands below another.
            detach_label_embeddings: stop gradients on their way through predicted probabilities.
        """
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.labels = nn.ModuleDict(labels)
        self.detach_label_embeddings = detach_label_embeddings
        (self.out_features,) = {tower.out_features for tower in towers.values()}

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the layers up to the highest wanted task."""
        words = states.words()
        order = self.up_to(request.tasks)
        features: dict[str, Tensor] = {}
        below: list[Tensor] = []  # the layer below, [B, T, H]
        predicted: list[Tensor] = []  # the summed label embeddings of all lower tasks, [B, T, E]
        for task in order:
            read = torch.cat([*below, words.states, *predicted], dim=-1)  # [B, T, H + D + E]
            features[task] = self.towers[task](WordStates(read, words.mask))  # [B, T, H]
            below = [features[task]]
            if task in self.labels and task != order[-1]:
                expected = self.label_embedding(task, WordStates(features[task], words.mask), request)
                predicted = [sum(predicted, start=expected)]
        return SharingOutput({task: features[task] for task in request.tasks})

    def label_embedding(self, task: str, features: WordStates, request: Request) -> Tensor:
        """What a task predicts for each word of ``[B, T, H]``, as the expected label embedding ``[B, T, E]``."""
        assert request.read is not None
        probabilities = request.read(task, features.states, features.mask)  # [B, T, L]
        return self.labels[task](probabilities.detach() if self.detach_label_embeddings else probabilities)

    def up_to(self, tasks: Collection[str]) -> list[str]:
        """The tasks in order, up to the highest of ``tasks``."""
        order = list(self.towers)
        return order[: max((order.index(task) + 1 for task in tasks), default=0)]

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The layers up to the highest of ``tasks``, and the label embeddings below it."""
        order = self.up_to(tasks)
        below = [self.labels[task] for task in order[:-1] if task in self.labels]
        return [p for module in (*(self.towers[task] for task in order), *below) for p in module.parameters()]

    def reads(self, tasks: Collection[str]) -> list[str]:
        """The lower tasks with label embeddings; none when gradients stop there."""
        return [] if self.detach_label_embeddings else self.runs_heads(tasks)

    def runs_heads(self, tasks: Collection[str]) -> list[str]:
        """The lower tasks with label embeddings."""
        return [task for task in self.up_to(tasks)[:-1] if task in self.labels]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the layers above the highest of ``tasks``, and the label embeddings that nothing reads then."""
        order = self.up_to(tasks)
        keep_modules(self.towers, order)
        keep_modules(self.labels, order[:-1])


class LabelEmbedding(nn.Module):
    """A vector per label, of which a distribution over labels takes the mean."""

    def __init__(self, labels: int, out_features: int) -> None:
        """``labels`` vectors of ``out_features``."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(labels, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """``U(-b, b)`` with ``b = sqrt(6 / (E + L))``, as in the paper."""
        bound = math.sqrt(6.0 / sum(self.weight.shape))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, probabilities: Tensor) -> Tensor:
        """``[B, T, L]`` to ``[B, T, E]``."""
        return probabilities @ self.weight


def stacked_sizes(
    order: Sequence[str], labels: Collection[str], *, word: int, layer: int, label: int
) -> dict[str, int]:
    """How many features the layer of each task reads.

    Args:
        order: the tasks, lowest first.
        labels: those with a label embedding.
        word: D.
        layer: H.
        label: E.
    """
    sizes = {}
    for number, task in enumerate(order):
        predicted = any(lower in labels for lower in order[:number])
        sizes[task] = word + (layer if number else 0) + (label if predicted else 0)
    return sizes
