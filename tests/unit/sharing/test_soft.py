"""Soft parameter sharing: METHODS.md section 1.2."""

from copy import deepcopy
from itertools import combinations

import pytest
import torch
from torch import Tensor

from seqmtl.batch import WordStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.soft import Soft
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, SoftSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def tower() -> BiLSTMTower:
    return BiLSTMTower(4, width=6, layers=2, dropout=0.0)


def soft(*, form: str = "pairwise", weight: float = 1.0, layers: tuple[int, ...] = (0, 1)) -> Soft:
    return Soft({task: tower() for task in TASKS}, form=form, weight=weight, layers=layers)


def spread(sharing: Soft) -> Soft:
    """Move every parameter by itself."""
    with torch.no_grad():
        for parameter in sharing.parameters():
            parameter.add_(torch.randn_like(parameter))
    return sharing


def words() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


def squared_distances(sharing: Soft, numbers: tuple[int, ...]) -> Tensor:
    """The pairwise penalty, pair by pair and parameter by parameter."""
    total = torch.zeros(())
    for one, other in combinations(TASKS, 2):
        for number in numbers:
            left, right = (sharing.towers[task].layers[str(number)].parameters() for task in (one, other))
            for p, q in zip(left, right, strict=True):
                total = total + ((p - q) ** 2).sum()
    return total


def test_ss1_the_pairwise_form_is_m_times_the_form_with_the_mean():
    pairwise = spread(soft())
    mean = deepcopy(pairwise)
    mean.form = "mean"
    torch.testing.assert_close(pairwise.distance(), squared_distances(pairwise, (0, 1)))
    torch.testing.assert_close(3 * mean.distance(), squared_distances(mean, (0, 1)))
    ours = torch.autograd.grad(pairwise.distance(), list(pairwise.parameters()))
    theirs = torch.autograd.grad(squared_distances(pairwise, (0, 1)), list(pairwise.parameters()))
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right)


def test_the_form_with_the_mean_measures_the_distance_to_it():
    sharing = spread(soft(form="mean"))
    total = torch.zeros(())
    for parameters in zip(*(sharing.towers[task].parameters() for task in TASKS), strict=True):
        mean = sum(parameters) / 3
        total = total + sum(((p - mean) ** 2).sum() for p in parameters)
    torch.testing.assert_close(sharing.distance(), total)


@pytest.mark.parametrize("form", ["pairwise", "mean"])
def test_ss2_the_penalty_and_its_gradient_are_0_where_all_towers_are_equal(form):
    sharing = soft(form=form)
    assert sharing.distance().item() == 0.0
    assert not any(grad.any() for grad in torch.autograd.grad(sharing.distance(), list(sharing.parameters())))


def test_towers_start_as_equal_copies_that_then_go_their_own_ways():
    sharing, states = soft(), words()
    features = sharing(states, Request(TASKS)).features
    assert torch.equal(features["a"], features["b"])
    assert torch.equal(features["a"], features["c"])
    with torch.no_grad():
        next(sharing.towers["b"].parameters()).add_(1.0)
    features = sharing(states, Request(TASKS)).features
    assert torch.equal(features["a"], features["c"])
    assert not torch.equal(features["a"], features["b"])


def test_with_a_weight_of_0_it_is_independent_sharing():
    ours, states = soft(weight=0.0), words()
    theirs = Independent({task: deepcopy(ours.towers[task]) for task in TASKS})
    for sharing in (ours, theirs):
        optimizer = torch.optim.SGD(sharing.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            output = sharing(states, Request(TASKS))
            assert not output.penalties
            task_loss(output.features).backward()
            optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert not torch.equal(*(next(ours.towers[task].parameters()) for task in "ab"))


def task_loss(features) -> Tensor:
    """Each task wants another value of every feature."""
    return torch.stack([(features[task] - 0.5 * n).square().mean() for n, task in enumerate(TASKS)]).sum()


def train(sharing, *, rate: float, states: WordStates) -> Tensor:
    """The features ``[M, B, T, H]`` after steps of SGD."""
    optimizer = torch.optim.SGD(sharing.parameters(), lr=rate)
    for _ in range(30):
        optimizer.zero_grad()
        output = sharing(states, Request(TASKS))
        (task_loss(output.features) + sum(output.penalties.values())).backward()
        optimizer.step()
    return torch.stack([sharing(states, Request(TASKS)).features[task] for task in TASKS])


def test_a_large_weight_under_sgd_keeps_towers_equal_and_predictions_those_of_hard_sharing():
    """The mean of the towers moves by the mean of the tasks' gradients, so hard sharing gets a third of the rate."""
    free, states = soft(weight=0.0), words()
    tied, rate = deepcopy(free), 0.05
    tied.weight = 1 / (2 * 3 * rate)  # the step along the penalty then ends where all towers are equal
    hard = HardSharing(4, tower=deepcopy(free.towers["a"]))
    start = hard(states, Request(TASKS)).features["a"]
    free_features, tied_features = train(free, rate=rate, states=states), train(tied, rate=rate, states=states)
    hard_features = train(hard, rate=rate / 3, states=states)
    assert (hard_features[0] - start).abs().max() > 0.1  # it has learned something
    assert (tied_features - hard_features).abs().max() < 0.1 * (free_features - hard_features).abs().max()
    assert tied.distance() < 0.01 * free.distance()


def test_only_the_tied_layers_are_measured():
    sharing = soft(layers=(1,))
    with torch.no_grad():
        next(sharing.towers["a"].layers["0"].parameters()).add_(1.0)
    assert sharing.distance().item() == 0.0
    with torch.no_grad():
        next(sharing.towers["a"].layers["1"].parameters()).add_(1.0)
    torch.testing.assert_close(sharing.distance(), squared_distances(sharing, (1,)))
    sharing.distance().backward()
    assert all(p.grad is None for task in TASKS for p in sharing.towers[task].layers["0"].parameters())


def test_the_penalty_is_weighted_once_and_given_in_training_only():
    sharing = spread(soft(weight=0.25))
    output = sharing(words(), Request(TASKS))
    assert list(output.penalties) == ["distance"]
    torch.testing.assert_close(output.penalties["distance"], 0.25 * squared_distances(sharing, (0, 1)))
    assert not sharing.eval()(words(), Request(TASKS)).penalties


def test_a_single_task_has_no_penalty():
    sharing = Soft({"a": tower()}, form="pairwise", weight=1.0, layers=(0, 1))
    assert not sharing(words(), Request(("a",))).penalties


def test_only_the_towers_of_wanted_tasks_run():
    sharing = spread(soft()).eval()
    states = words()
    both = sharing(states, Request(TASKS)).features
    for task in "ac":
        sharing.towers[task].forward = None  # it would not be callable
    alone = sharing(states, Request(("b",))).features
    assert list(alone) == ["b"]
    assert torch.equal(alone["b"], both["b"])


def test_every_parameter_serves_exactly_one_task():
    sharing = soft()
    owned = [id(p) for task in TASKS for p in sharing.serving([task])]
    assert sorted(owned) == sorted(id(p) for p in sharing.parameters())


def test_coupling_is_the_distance_of_each_two_towers_per_layer():
    sharing = spread(soft(layers=(1,)))
    tables = sharing.coupling().tables
    assert list(tables) == ["distance 1", "distance 2"]
    squares = torch.zeros(())
    for number, table in enumerate(tables.values()):
        assert (list(table.rows), list(table.columns)) == (list(TASKS), list(TASKS))
        assert torch.equal(table.values, table.values.T)
        assert not table.values.diagonal().any()
        torch.testing.assert_close(table.values.triu().square().sum(), squared_distances(sharing, (number,)).detach())
        squares = squares + table.values.triu().square().sum()
    torch.testing.assert_close(squares, squared_distances(sharing, (0, 1)).detach())


TOWER = BiLSTMTowerSpec(kind="bilstm", layers=2, width=6)


def test_layers_count_from_1_in_a_recipe_and_null_is_all():
    some = build_sharing(SoftSpec(kind="soft", tower=TOWER, layers=(2,)), ground=Ground(4), tasks=TASKS)
    every = build_sharing(SoftSpec(kind="soft", tower=TOWER), ground=Ground(4), tasks=TASKS)
    assert isinstance(some, Soft)
    assert isinstance(every, Soft)
    assert (some.tied, every.tied) == ((1,), (0, 1))


def test_a_layer_beyond_the_towers_is_refused():
    spec = SoftSpec(kind="soft", tower=TOWER, layers=(1, 3))
    with pytest.raises(ConfigError, match=r"sharing\.layers: got 3, but the towers have 2 layers; allowed: 1 to 2"):
        build_sharing(spec, ground=Ground(4), tasks=TASKS)
