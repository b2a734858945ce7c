"""The joint loss: a step has one gradient, however it is cut into micro-batches and processes."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqmtl.batch import IGNORED, TokenTargets
from seqmtl.heads.base import HeadLoss
from seqmtl.heads.softmax import SoftmaxHead
from seqmtl.objectives.losses import Losses
from seqmtl.objectives.weighting import joint_loss

LENGTHS = [4, 1, 3, 2, 4, 2, 1, 3]
CARRIERS = {"a": [0, 1, 2, 3, 4, 5, 6, 7], "b": [1, 4, 5]}  # some parts of the step have no row of task b
WEIGHTS = {"a": 1.0, "b": 0.3}
WORDS = {task: sum(LENGTHS[row] for row in rows) for task, rows in CARRIERS.items()}


class Toy(nn.Module):
    """A shared layer, two heads with several decoders, and a penalty."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 5)
        self.heads = nn.ModuleDict({"a": SoftmaxHead(5, 4, decoders=2), "b": SoftmaxHead(5, 2, decoders=2)})

    def losses(self, states: Tensor, labels: Tensor, sentences: list[int]) -> Losses:
        features = self.shared(states[sentences])
        mask = labels[sentences] != IGNORED
        found = {}
        for task, head in self.heads.items():
            rows = [position for position, sentence in enumerate(sentences) if sentence in CARRIERS[task]]
            gold = labels[[sentences[row] for row in rows]].clamp(max=head.scorer.outer.weight.shape[1] - 1)
            found[task] = head(features, mask, TokenTargets(torch.tensor(rows, dtype=torch.long), gold))
        return Losses(found, {"small": self.shared.weight.square().sum()})


def data() -> tuple[Tensor, Tensor]:
    labels = torch.randint(4, (8, 4)).masked_fill(torch.arange(4) >= torch.tensor(LENGTHS)[:, None], IGNORED)
    return torch.randn(8, 4, 3), labels


def gradients(model: Toy, states: Tensor, labels: Tensor, parts: list[list[list[int]]]) -> list[Tensor]:
    """The step's gradients; ``parts[process][micro_batch]`` lists sentences."""
    per_process = []
    for micro_batches in parts:
        model.zero_grad()
        for sentences in micro_batches:
            joint_loss(
                model.losses(states, labels, sentences),
                weights=WEIGHTS,
                words=WORDS,
                processes=len(parts),
                micro_batches=len(micro_batches),
            ).backward()
        per_process.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    return [torch.stack(same).mean(dim=0) for same in zip(*per_process, strict=True)]  # as DistributedDataParallel does


SPLITS = {
    "two micro-batches": [[[0, 1, 2, 3], [4, 5, 6, 7]]],
    "uneven micro-batches": [[[5], [0, 2, 3, 6, 7], [1, 4]]],
    "two processes": [[[0, 2, 4, 6]], [[1, 3, 5, 7]]],
    "two processes, uneven": [[[1, 4, 5]], [[0, 2, 3, 6, 7]]],
    "two processes of two micro-batches": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]],
}


@pytest.mark.parametrize("split", SPLITS)
def test_the_gradient_of_a_step_is_the_same_however_it_is_cut(split: str):
    model, (states, labels) = Toy(), data()
    whole = gradients(model, states, labels, [[list(range(8))]])
    cut = gradients(model, states, labels, SPLITS[split])
    torch.testing.assert_close(cut, whole, atol=1e-6, rtol=1e-6)
    assert all(gradient.any() for gradient in whole)


@settings(max_examples=25)
@given(order=st.permutations(range(8)), cuts=st.lists(st.integers(1, 7), min_size=1, max_size=3, unique=True))
def test_the_gradient_of_a_step_is_the_same_for_any_micro_batches(order: list[int], cuts: list[int]):
    torch.manual_seed(1)
    model, (states, labels) = Toy(), data()
    edges = [0, *sorted(cuts), 8]
    parts = [order[start:stop] for start, stop in pairwise(edges)]
    whole = gradients(model, states, labels, [[list(range(8))]])
    torch.testing.assert_close(gradients(model, states, labels, [parts]), whole, atol=1e-6, rtol=1e-6)


def test_the_joint_loss_by_hand():
    losses = Losses(
        {"a": HeadLoss(torch.tensor([6.0, 2.0]), torch.tensor(4.0)), "b": HeadLoss(torch.zeros(2), torch.tensor(0.0))},
        {"small": torch.tensor(0.5)},
    )
    total = joint_loss(losses, weights={"a": 2.0, "b": 1.0}, words={"a": 8, "b": 0}, processes=3, micro_batches=2)
    # mean over decoders 4, over words 0.5, weighted 1, times three processes; half of the penalty
    assert total.item() == pytest.approx(3.0 + 0.25)


def test_a_task_without_a_word_in_the_step_costs_nothing_but_stays_in_the_graph():
    model, (states, labels) = Toy(), data()
    losses = model.losses(states, labels, [0, 2])
    joint_loss(losses, weights=WEIGHTS, words={"a": 7, "b": 0}, processes=1, micro_batches=1).backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.heads["b"].parameters())
