"""K linear maps under dropout of their own against the same written out, masks and all."""

import pytest
import torch
from torch import Tensor

from seqmtl.kernels.dropout import LEVELS, keep
from seqmtl.kernels.dropped_linear import dropped_linear

K, N, H, L = 3, 7, 5, 4
RATES = torch.tensor([0.0, 0.25, 0.6])


def leaves(inputs: int) -> tuple[Tensor, Tensor, Tensor]:
    shapes = ((inputs, N, H), (K, L, H), (K, L))
    return tuple(torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes)  # type: ignore[return-value]


def written_out(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One decoder after the other, with the masks that come next from torch's generator."""
    scores = []
    for k, rate in enumerate((RATES * LEVELS).round()):
        mask = keep(features[0], int(rate)) / (1 - rate.double() / LEVELS)
        scores.append((features[k % len(features)] * mask) @ weight[k].T + bias[k])
    return torch.stack(scores)


@pytest.mark.parametrize("inputs", [1, K], ids=["an input for all", "an input for each"])
def test_scores_and_gradients_are_those_of_dropped_copies(inputs: int):
    parts, weights = leaves(inputs), torch.randn(K, N, L, dtype=torch.double)
    state = torch.get_rng_state()
    ours = dropped_linear(*parts, RATES)
    torch.set_rng_state(state)
    theirs = written_out(*parts)
    torch.testing.assert_close(ours, theirs)
    gradients = (torch.autograd.grad((scores * weights).sum(), parts) for scores in (ours, theirs))
    torch.testing.assert_close(*gradients)


def test_each_decoder_drops_other_units_at_its_own_rate_and_keeps_the_mean():
    features, weight, rates = (
        torch.ones(1, 400, 60),
        torch.eye(60).expand(4, 60, 60),
        torch.tensor([0.0, 0.1, 0.5, 0.9]),
    )
    dropped = dropped_linear(features, weight, torch.zeros(4, 60), rates)
    zeros = dropped == 0.0
    assert zeros.float().mean((1, 2)).tolist() == pytest.approx(rates.tolist(), abs=0.02)
    assert dropped.mean((1, 2)).tolist() == pytest.approx([1.0] * 4, abs=0.05)
    for k, rate in enumerate(rates.tolist()):
        assert dropped[k][~zeros[k]].unique().tolist() == pytest.approx([1 / (1 - rate)], rel=1e-3)
    both = (zeros[1] & zeros[2]).float().mean()
    assert both == pytest.approx(0.1 * 0.5, abs=0.01)  # independent of each other


def test_masks_are_drawn_anew_and_follow_the_seed():
    features, weight = torch.randn(1, 50, H), torch.randn(K, L, H)

    def draw() -> Tensor:
        return dropped_linear(features, weight, torch.zeros(K, L), RATES)

    torch.manual_seed(3)
    first, second = draw(), draw()
    torch.manual_seed(3)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)


def test_no_row_has_no_scores():
    parts = torch.zeros(1, 0, H, requires_grad=True), torch.randn(K, L, H), torch.randn(K, L)
    scores = dropped_linear(*parts, RATES)
    assert scores.shape == (K, 0, L)
    scores.sum().backward()


def test_it_computes_in_the_dtype_of_the_features_and_gradients_have_that_of_the_weights():
    weight, bias = torch.randn(K, L, H, requires_grad=True), torch.randn(K, L, requires_grad=True)
    features = torch.randn(1, N, H, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        scores = dropped_linear(features, weight, bias, RATES)
    assert scores.dtype == torch.bfloat16
    scores.sum().backward()
    assert [part.grad.dtype for part in (features, weight, bias)] == [torch.bfloat16, torch.float32, torch.float32]
