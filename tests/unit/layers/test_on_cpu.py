"""Modules of others in their faster form."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from seqmtl.layers import on_cpu
from seqmtl.layers.on_cpu import Dropout, Linear, faster_on_cpu


@pytest.fixture
def taken(monkeypatch):
    """The names of the faster forms that were called."""
    calls = []

    def watch(name):
        real = getattr(on_cpu, name)
        monkeypatch.setattr(on_cpu, name, lambda *args: calls.append(name) or real(*args))

    watch("linear")
    watch("dropout")
    return calls


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(160, 160), nn.GELU(), nn.Sequential(nn.Dropout(0.5), nn.Linear(160, 2, bias=False)))


def test_the_same_maps_by_other_means(taken):
    model, states = build().eval(), torch.randn(64, 160)
    before, names = model(states), list(model.state_dict())
    faster_on_cpu(model)
    torch.testing.assert_close(model(states), before, rtol=1e-4, atol=1e-4)
    assert taken == ["linear", "dropout", "linear"]
    assert list(model.state_dict()) == names
    assert str(model) == str(build())


def test_training_drops_and_a_copy_is_as_fast(taken):
    model = build().train()
    faster_on_cpu(model)
    copied = copy.deepcopy(model)
    torch.testing.assert_close(copied[2][0](torch.ones(100, 100)).unique(), torch.tensor([0.0, 2.0]))
    assert taken == ["dropout"]


def test_subclasses_compute_as_they_like():
    class Own(nn.Linear):
        pass

    model = nn.Sequential(Own(3, 3), nn.Dropout1d(0.5))
    faster_on_cpu(model)
    assert [type(module) for module in model] == [Own, nn.Dropout1d]


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_what_is_computed_again_in_the_backward_pass_is_computed_alike(taken, p):
    model = build()
    model[2][0].p = p
    faster_on_cpu(model)
    states = torch.randn(64, 160, requires_grad=True)
    torch.manual_seed(2)
    (wanted,) = torch.autograd.grad(model(states).sum(), states)
    torch.manual_seed(2)
    (found,) = torch.autograd.grad(checkpoint(model, states, use_reentrant=False).sum(), states)
    assert found.equal(wanted)
    assert taken == ["linear", "dropout", "linear"] * 3


def test_a_whole_model_has_them(tiny_model):
    kinds = {type(module) for module in tiny_model().model.modules()}
    assert {Linear, Dropout} <= kinds
    assert not {nn.Linear, nn.Dropout} & kinds
