"""Dropout from few random numbers."""

import pytest
import torch
from torch.nn import functional as F

from seqmtl.kernels.dropout import dropout


@pytest.mark.parametrize("p", [0.1, 0.33, 0.5, 0.9])
def test_share_and_scale(p):
    torch.manual_seed(1)
    states = torch.ones(401, 1001)  # no multiple of four
    dropped = dropout(states, p)
    kept = dropped != 0.0
    n = states.numel()
    assert abs(kept.sum().item() / n - (1 - p)) < 5 * (p * (1 - p) / n) ** 0.5  # five standard deviations
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / (1 - p)), rtol=1e-4, atol=0.0)


def test_each_value_and_each_pair_of_neighbours_is_dropped_independently():
    torch.manual_seed(1)
    kept = (dropout(torch.ones(2000, 64), 0.5) != 0.0).double()
    assert (kept.mean(dim=0) - 0.5).abs().max() < 5 * (0.25 / 2000) ** 0.5
    together = (kept[:, :-1] * kept[:, 1:]).mean(dim=0)  # values that come from the same 64 bits among them
    assert (together - 0.25).abs().max() < 5 * (0.1875 / 2000) ** 0.5


def test_the_gradient_goes_where_values_went():
    torch.manual_seed(1)
    states = torch.randn(100, 100, requires_grad=True)
    dropped = dropout(states, 0.3)
    (slope,) = torch.autograd.grad(dropped.sum(), states)
    torch.testing.assert_close(slope * states, dropped)
    assert (slope == 0.0).any()


def test_the_seed_decides():
    def draw():
        torch.manual_seed(3)
        return dropout(torch.ones(100, 100), 0.5)

    first, again = draw(), draw()
    assert first.equal(again)
    assert not first.equal(dropout(torch.ones(100, 100), 0.5))


@pytest.mark.parametrize(
    ("shape", "p", "training", "dtype"),
    [
        ((5, 7), 0.5, True, torch.float32),
        ((100, 100), 0.5, False, torch.float32),
        ((100, 100), 0.0, True, torch.float32),
        ((100, 100), 1.0, True, torch.float32),
        ((100, 100), 0.5, True, torch.float64),
        ((0, 100), 0.5, True, torch.float32),
    ],
    ids=["few values", "inference", "nothing", "everything", "double", "empty"],
)
def test_torch_does_the_rest(shape, p, training, dtype):
    states = torch.ones(shape, dtype=dtype)
    torch.manual_seed(1)
    ours = dropout(states, p, training)
    torch.manual_seed(1)
    assert ours.equal(F.dropout(states, p, training))


def test_a_wrong_probability_is_torchs_error():
    with pytest.raises(ValueError, match="dropout probability"):
        dropout(torch.ones(100, 100), 1.5)


def test_under_vmap_each_sample_has_a_mask_of_its_own_as_torch_gives_it():
    torch.manual_seed(1)
    masks = torch.func.vmap(lambda x: dropout(x, 0.5), randomness="different")(torch.ones(2, 100, 100)) != 0.0
    assert not masks[0].equal(masks[1])
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda x: dropout(x, 0.5))(torch.ones(2, 100, 100))
