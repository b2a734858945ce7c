"""The learned mixture of layers."""

import torch

from seqmtl.layers.scalar_mix import ScalarMix


def test_a_new_mixture_is_the_mean():
    layers = [torch.randn(2, 3, 4) for _ in range(5)]
    torch.testing.assert_close(ScalarMix(5)(layers), torch.stack(layers).mean(dim=0))


def test_equals_equation_one_of_peters_et_al():
    mix = ScalarMix(3)
    mix.weights.data.copy_(torch.tensor([0.5, -1.0, 2.0]))
    mix.gamma.data.fill_(1.7)
    layers = [torch.randn(2, 4) for _ in range(3)]
    e = [torch.tensor(value).exp() for value in (0.5, -1.0, 2.0)]
    expected = 1.7 * (e[0] * layers[0] + e[1] * layers[1] + e[2] * layers[2]) / (e[0] + e[1] + e[2])
    torch.testing.assert_close(mix(layers), expected)


def test_the_gradient_of_the_weights_sums_to_zero():
    mix = ScalarMix(3)  # softmax does not see a shift of all its weights
    mix([torch.randn(2, 4) for _ in range(3)]).square().sum().backward()
    assert mix.weights.grad is not None
    assert mix.weights.grad.abs().max() > 0.01
    torch.testing.assert_close(mix.weights.grad.sum(), torch.tensor(0.0), atol=1e-5, rtol=0)
