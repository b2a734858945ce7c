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


def scorer_of(hidden: int | None, *, decoders: int = 3, dropout: float = 0.4, own_dropout: bool = False) -> Scorer:
    return Scorer(5, 3, hidden=hidden, decoders=decoders, dropout=dropout, own_dropout=own_dropout)


@pytest.mark.parametrize("hidden", [None, 7])
def test_pt1_one_decoder_is_a_linear_classifier_under_dropout_to_the_bit_and_draws_the_same_masks(hidden: int | None):
    scorer, features = scorer_of(hidden, decoders=1), torch.randn(2, 4, 5)
    state = torch.get_rng_state()
    scores, after = scorer(features), torch.get_rng_state()
    torch.set_rng_state(state)
    states = F.dropout(features, 0.4)
    if scorer.inner is not None:
        states = F.dropout(F.gelu(F.linear(states, scorer.inner.weight[0], scorer.inner.bias[0])), 0.4)
    expected = F.linear(states, scorer.outer.weight[0], scorer.outer.bias[0])
    if hidden is None:
        assert torch.equal(scores[0], expected)
    else:  # the second product is a batched one
        torch.testing.assert_close(scores[0], expected)
    assert torch.equal(torch.get_rng_state(), after)
    assert not any("rates" in name for name in scorer.state_dict())


@pytest.mark.parametrize("hidden", [None, 7])
def test_equal_decoders_drop_alike_unless_each_has_dropout_of_its_own(hidden: int | None):
    for own in (False, True):
        scorer = scorer_of(hidden, own_dropout=own)
        for parameter in scorer.parameters():
            parameter.data.copy_(parameter.data[:1].expand_as(parameter))
        scores = scorer(torch.randn(20, 5)[None])
        alike = [torch.allclose(scores[k], scores[0], atol=1e-6) for k in (1, 2)]
        assert alike == [not own] * 2
        evaluated = scorer.eval()(torch.randn(20, 5)[None])
        torch.testing.assert_close(evaluated[1], evaluated[0])


@pytest.mark.parametrize("hidden", [None, 7])
def test_dropout_of_its_own_leaves_the_expected_scores_of_a_linear_decoder(hidden: int | None):
    scorer = scorer_of(hidden, own_dropout=True)
    assert scorer.rates is not None
    assert torch.equal(scorer.state_dict()["rates"], torch.full((3,), 0.4))
    scorer.rates.copy_(torch.tensor([0.0, 0.3, 0.6]))
    features = torch.randn(1, 5)
    scores = scorer(features.expand(20_000, 5)[None])[:, 0]  # [K, n, L]
    expected = scorer.eval()(features)[:, 0]
    torch.testing.assert_close(scores[0], expected[0].expand_as(scores[0]))  # a rate of 0 drops nothing
    if hidden is None:
        torch.testing.assert_close(scores.mean(dim=1), expected, atol=0.05, rtol=0.05)
    assert (scores[2].std(dim=0) > scores[1].std(dim=0)).all()


@pytest.mark.parametrize("words", [1, 8])  # one word is where the product rounds by the address of the weights
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("hidden", [None, 7])
def test_one_of_several_decoders_gives_the_bits_of_a_scorer_that_has_no_other(
    hidden: int | None, own: bool, training: bool, words: int
):
    sizes = {"hidden": hidden, "dropout": 0.4, "own_dropout": own}
    scorer, features = Scorer(17, 7, decoders=3, **sizes).train(training), torch.randn(1, words, 17)
    for k in range(3):
        alone = Scorer(17, 7, decoders=1, **sizes).train(training)
        alone.load_state_dict({name: values[k : k + 1] for name, values in scorer.state_dict().items()})
        torch.manual_seed(k)
        expected = alone(features)[0]
        torch.manual_seed(k)
        assert torch.equal(scorer.one(features, decoder=k), expected)


def test_the_gradient_of_one_decoder_is_its_own():
    scorer = scorer_of(None)
    scorer.one(torch.randn(4, 5), decoder=1).sum().backward()
    gradient = scorer.outer.weight.grad
    assert gradient is not None
    assert [bool(part.any()) for part in gradient] == [False, True, False]


def test_rates_start_anew_where_a_checkpoint_lacks_them():
    scorer = scorer_of(None, own_dropout=True)
    assert scorer.rates is not None
    scorer.rates.zero_()
    scorer.reset_parameters()
    assert torch.equal(scorer.rates, torch.full((3,), 0.4))
