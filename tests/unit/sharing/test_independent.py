"""A tower per task."""

import pytest
import torch

from seqmtl.batch import WordStates
from seqmtl.sharing.base import Request
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.towers.bilstm import BiLSTMTower

MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


@pytest.fixture
def sharing() -> Independent:
    return Independent({task: BiLSTMTower(4, width=6, layers=1, dropout=0.0) for task in ("a", "b")})


def test_each_task_reads_its_own_tower(sharing):
    states = torch.randn(2, 5, 4)
    output = sharing(WordStates(states, MASK), Request(("a", "b")))
    for task in ("a", "b"):
        assert torch.equal(output.features[task], sharing.towers[task](WordStates(states, MASK)))
    assert not torch.isclose(output.features["a"], output.features["b"])[MASK].all()
    assert not output.penalties


def test_hs2_a_task_leaves_the_other_tower_without_gradient(sharing):
    sharing(WordStates(torch.randn(2, 5, 4), MASK), Request(("a", "b"))).features["a"].square().sum().backward()
    assert all(p.grad is None for p in sharing.serving(["b"]))
    assert all(p.grad is not None and p.grad.any() for p in sharing.serving(["a"]))


def test_only_the_towers_asked_for_run(sharing):
    assert list(sharing(WordStates(torch.randn(2, 5, 4), MASK), Request(("b",))).features) == ["b"]


def test_every_parameter_serves_exactly_one_task(sharing):
    owned = [id(p) for task in ("a", "b") for p in sharing.serving([task])]
    assert sorted(owned) == sorted(id(p) for p in sharing.parameters())


def test_towers_of_two_widths_are_a_programmers_mistake():
    towers = {"a": BiLSTMTower(4, width=6, layers=1, dropout=0.0), "b": BiLSTMTower(4, width=8, layers=1, dropout=0.0)}
    with pytest.raises(ValueError, match="too many values"):
        Independent(towers)
