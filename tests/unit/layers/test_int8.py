"""Linear maps in eight bits."""

import pytest
import torch
from torch import nn

from seqmtl.layers import int8
from seqmtl.layers.int8 import Int8Linear, in_int8

pytestmark = pytest.mark.skipif(not int8.is_there, reason="torch was built without oneDNN")


def in_double(plain: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    """The same by rounding weights and inputs to their levels, and multiplying in double precision."""
    weight = plain.weight.detach()
    steps = weight.abs().amax(1, keepdim=True) / 127
    rounded = ((weight / steps).round() * steps).double()
    low, high = min(states.min().item(), 0.0), max(states.max().item(), 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    inputs = ((states * (1 / step) + zero).round().clamp(0, 255).double() - zero) * step
    return inputs @ rounded.T + (0.0 if plain.bias is None else plain.bias.detach().double())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shift", [0.0, 3.0, -20.0], ids=["about 0", "mostly above", "all below"])
def test_it_is_the_product_of_rounded_numbers(bias, shift):
    torch.manual_seed(1)
    plain, states = nn.Linear(48, 40, bias=bias), torch.randn(3, 7, 48) + shift
    plain.weight.data[5] *= 100.0  # each output has a scale of its own
    ours = Int8Linear(plain)(states)
    assert ours.shape == (3, 7, 40)
    assert ours.dtype == torch.float32
    exact = plain(states)
    torch.testing.assert_close(ours.double(), in_double(plain, states), rtol=1e-4, atol=1e-4)
    assert (ours - exact).norm() < 0.03 * exact.norm()


def test_nothing_and_zeros():
    plain = nn.Linear(16, 8)
    assert Int8Linear(plain)(torch.empty(0, 5, 16)).shape == (0, 5, 8)
    found = Int8Linear(plain)(torch.zeros(2, 16))
    torch.testing.assert_close(found, plain.bias.detach().expand(2, -1))
    nn.init.zeros_(plain.weight)
    torch.testing.assert_close(Int8Linear(plain)(torch.randn(2, 16)), plain.bias.detach().expand(2, -1))


def test_a_copy_shares_what_is_not_linear_and_leaves_the_model_alone():
    class Own(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), Own(4, 4)))
    copied = in_int8(model)
    assert [type(module) for module in (copied[0], copied[2][0], copied[2][1])] == [Int8Linear, Int8Linear, Own]
    assert copied[1].weight is model[1].weight
    assert copied[2][1].weight is model[2][1].weight
    assert type(model[0]) is type(model[2][0]) is nn.Linear
    assert not [name for name in copied.state_dict() if name.startswith("0.")]
