"""Hard parameter sharing: METHODS.md section 1.1."""

import pytest
import torch
from torch import Tensor

from seqmtl.batch import TokenTargets, WordStates
from seqmtl.heads.softmax import SoftmaxHead
from seqmtl.sharing.base import Request
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.specs.sharing import BiLSTMTowerSpec, HardSharingSpec, IndependentSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def tower() -> BiLSTMTower:
    return BiLSTMTower(4, width=6, layers=2, dropout=0.0)


@pytest.fixture
def shared() -> HardSharing:
    return HardSharing(4, tower=tower())


@pytest.fixture
def heads() -> dict[str, SoftmaxHead]:
    return {task: SoftmaxHead(6, 3) for task in TASKS}


def loss_of(shared: HardSharing, heads: dict[str, SoftmaxHead], task: str, states: Tensor) -> Tensor:
    features = shared(WordStates(states, MASK), Request(TASKS)).features[task]
    targets = TokenTargets(torch.tensor([0]), torch.tensor([[TASKS.index(task), 1, 2, 0, 1]]))
    return heads[task](features, MASK, targets).mean().sum()


def test_hs1_the_gradient_of_the_summed_loss_is_the_sum_of_the_tasks_gradients(shared, heads):
    states, parameters = torch.randn(2, 5, 4), list(shared.parameters())
    summed = torch.stack([loss_of(shared, heads, task, states) for task in TASKS]).sum()
    joint = torch.autograd.grad(summed, parameters)
    each = [torch.autograd.grad(loss_of(shared, heads, task, states), parameters) for task in TASKS]
    for together, apart in zip(joint, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(together, torch.stack(apart).sum(dim=0), atol=1e-6, rtol=1e-5)
        assert together.any()


def test_hs2_a_batch_of_one_task_leaves_the_other_heads_without_gradient(shared, heads):
    loss_of(shared, heads, "b", torch.randn(2, 5, 4)).backward()
    assert all(p.grad is None for task in ("a", "c") for p in heads[task].parameters())
    assert all(p.grad is not None and p.grad.any() for p in (*heads["b"].parameters(), *shared.parameters()))


def test_all_tasks_read_one_tensor(shared):
    features = shared(WordStates(torch.randn(2, 5, 4), MASK), Request(TASKS)).features
    assert list(features) == list(TASKS)
    assert all(features[task] is features["a"] for task in TASKS)


def test_m_1_is_the_single_task_model_bit_for_bit(tiny_model):
    """Of one task, hard sharing with a tower and independent sharing are one model, in what they learn, too."""
    towered = BiLSTMTowerSpec(kind="bilstm", layers=2, width=6, dropout=0.2)
    losses, weights = [], []
    for spec in (HardSharingSpec(kind="hard", tower=towered), IndependentSpec(kind="independent", tower=towered)):
        tiny = tiny_model("ner", sharing=spec)  # from one seed, by which dropout is drawn, too
        optimizer = torch.optim.SGD(tiny.model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = tiny.model(tiny.batch.inputs, tiny.batch.targets).tasks["ner"].mean().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        weights.append(list(tiny.model.parameters()))
    assert losses[:3] == losses[3:]
    assert len(set(losses)) == 3
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))


def test_without_a_tower_features_are_the_word_states():
    plain, states = HardSharing(4, tower=None), torch.randn(2, 5, 4)
    output = plain(WordStates(states, MASK), Request(TASKS))
    assert plain.out_features == 4
    assert not list(plain.parameters())
    assert output.features["c"] is states
    assert not output.penalties


def test_every_parameter_serves_every_task_and_nothing_is_learned_about_tasks(shared):
    assert shared.serving(["a"]) == list(shared.parameters())
    assert not shared.coupling().tables
