"""K decoders in one product against K linear maps one after another."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from seqmtl.layers.decoders import ParallelLinear, Scorer


@given(decoders=st.integers(1, 4), leading=st.lists(st.integers(0, 3), max_size=3))
def test_parallel_linear_equals_separate_linears(decoders: int, leading: list[int]):
    layer, features = ParallelLinear(5, 3, decoders=decoders), torch.randn(*leading, 5)
    expected = torch.stack([F.linear(features, w, b) for w, b in zip(layer.weight, layer.bias, strict=True)])
    torch.testing.assert_close(layer(features), expected)


@given(decoders=st.integers(1, 4), leading=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_each_gives_every_decoder_its_own_input(decoders: int, leading: list[int]):
    layer, features = ParallelLinear(5, 3, decoders=decoders), torch.randn(decoders, *leading, 5)
    expected = torch.stack([F.linear(x, w, b) for x, w, b in zip(features, layer.weight, layer.bias, strict=True)])
    torch.testing.assert_close(layer.each(features), expected)


@pytest.mark.parametrize("hidden", [None, 7])
def test_scorer_equals_separate_decoders_in_values_and_gradients(hidden: int | None):
    scorer = Scorer(5, 3, hidden=hidden, decoders=3, dropout=0.0)
    features = torch.randn(2, 4, 5, requires_grad=True)
    scores = []
    for k in range(3):
        states = features
        if scorer.inner is not None:
            states = F.gelu(F.linear(states, scorer.inner.weight[k], scorer.inner.bias[k]))
        scores.append(F.linear(states, scorer.outer.weight[k], scorer.outer.bias[k]))
    expected, weights = torch.stack(scores), torch.randn(3, 2, 4, 3)
    out = scorer(features)
    torch.testing.assert_close(out, expected)
    inputs = [features, *scorer.parameters()]
    ours = torch.autograd.grad((out * weights).sum(), inputs)
    theirs = torch.autograd.grad((expected * weights).sum(), inputs)
    torch.testing.assert_close(ours, theirs)


def test_decoders_start_apart_and_within_the_bound_of_nn_linear():
    layer = ParallelLinear(16, 64, decoders=2)
    bound = 1 / math.sqrt(16)
    assert 0.9 * bound < layer.weight.abs().max() <= bound
    assert 0.8 * bound < layer.bias.abs().max() <= bound
    assert not torch.isclose(layer.weight[0], layer.weight[1]).all()


def test_dropout_acts_in_training_only():
    scorer, features = Scorer(50, 3, hidden=None, decoders=2, dropout=0.5), torch.randn(4, 50)
    assert not torch.equal(scorer(features), scorer(features))
    scorer.eval()
    assert torch.equal(scorer(features), scorer(features))
