"""The task discriminator of ASP-MTL: METHODS.md section 1.5."""

import math

import pytest
import torch
from torch import Tensor

from seqmtl.sharing.adversary import TaskAdversary, mean_over_words

TASKS = ("a", "b", "c")
MASK = torch.arange(3) < torch.tensor([3, 1, 2, 2])[:, None]
ROWS = {
    "a": torch.tensor([True, True, False, False]),
    "b": torch.tensor([False, True, False, False]),
    "c": torch.tensor([False, False, True, False]),
}


@pytest.fixture
def adversary() -> TaskAdversary:
    return TaskAdversary(2, tasks=TASKS, weight=0.05)


def by_hand(adversary: TaskAdversary, shared: Tensor) -> Tensor:
    """The loss in plain arithmetic; the last sentence carries nothing."""
    means = [shared[0].mean(dim=0), shared[1, 0], (shared[2, 0] + shared[2, 1]) / 2]
    losses = []
    for mean, target in zip(means, ((1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.0, 0.0, 1.0)), strict=True):
        scores = adversary.discriminator.weight @ mean + adversary.discriminator.bias
        probabilities = scores.exp() / scores.exp().sum()
        losses.append(-sum(share * probabilities[m].log() for m, share in enumerate(target)))
    return torch.stack(losses).mean()


def test_the_target_is_uniform_over_the_tasks_of_a_sentence(adversary: TaskAdversary):
    shared = torch.randn(4, 3, 2)
    torch.testing.assert_close(adversary(shared, MASK, rows=ROWS), by_hand(adversary, shared))


def test_sp1_the_discriminator_descends_and_what_lies_below_climbs_lambda_times_as_fast(adversary: TaskAdversary):
    states, below = torch.randn(4, 3, 5), torch.randn(5, 2, requires_grad=True)
    wanted = torch.autograd.grad(by_hand(adversary, states @ below), [below, *adversary.parameters()])
    found = torch.autograd.grad(adversary(states @ below, MASK, rows=ROWS), [below, *adversary.parameters()])
    torch.testing.assert_close(found[0], -0.05 * wanted[0])
    for ours, theirs in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(ours, theirs)
        assert theirs.any()


def test_sentences_without_a_task_and_padding_do_not_matter(adversary: TaskAdversary):
    shared = torch.randn(4, 3, 2)
    other = torch.where(MASK[..., None], shared, 7.0)
    other[3] = 9.0
    assert torch.equal(adversary(shared, MASK, rows=ROWS), adversary(other, MASK, rows=ROWS))


def test_a_task_that_is_not_there_is_carried_by_no_sentence(adversary: TaskAdversary):
    shared, without = torch.randn(4, 3, 2), {task: rows for task, rows in ROWS.items() if task != "c"}
    nobody = {**without, "c": torch.zeros(4, dtype=torch.bool)}
    assert torch.equal(adversary(shared, MASK, rows=without), adversary(shared, MASK, rows=nobody))


def test_with_all_layers_on_all_sentences_the_best_discriminator_is_blind(adversary: TaskAdversary):
    shared, everywhere = torch.randn(4, 3, 2), dict.fromkeys(TASKS, torch.ones(4, dtype=torch.bool))
    torch.nn.init.zeros_(adversary.discriminator.weight)
    torch.nn.init.zeros_(adversary.discriminator.bias)
    loss = adversary(shared, MASK, rows=everywhere)
    assert loss.item() == pytest.approx(math.log(3))
    assert all(gradient.abs().max() < 1e-6 for gradient in torch.autograd.grad(loss, list(adversary.parameters())))


def test_a_batch_without_any_task_costs_0_with_every_parameter_in_the_graph(adversary: TaskAdversary):
    loss = adversary(torch.randn(4, 3, 2), MASK, rows={})
    assert loss.item() == 0.0
    loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in adversary.parameters())


def test_a_sentence_without_words_has_features_of_0():
    assert mean_over_words(torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0.0, 0.0]]


def test_the_adversary_learns_to_tell_tasks_apart_by_features_that_do(adversary: TaskAdversary):
    shared = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(2, dim=0)[:, None]  # [4, 1, 2]
    rows = {"a": torch.tensor([True, True, False, False]), "b": torch.tensor([False, False, True, True])}
    optimizer = torch.optim.SGD(adversary.parameters(), lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss = adversary(shared, torch.ones(4, 1, dtype=torch.bool), rows=rows)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
