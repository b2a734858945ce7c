"""Decoders without a gradient: cut off by freezing, or not read in a step."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from seqmtl.training.dec_update import moments
from seqmtl.training.frozen import freeze_all_but_first, rest_without_gradient


@pytest.fixture
def parameter():
    return nn.Parameter(torch.randn(3, 4, 5))


def test_only_the_first_decoder_keeps_its_gradient_and_what_is_below_keeps_all_of_it(parameter):
    features = torch.randn(5, requires_grad=True)
    (parameter @ features).square().sum().backward()
    whole, of_weights = features.grad.clone(), parameter.grad.clone()
    freeze_all_but_first([parameter])
    features.grad = parameter.grad = None
    (parameter @ features).square().sum().backward()
    assert torch.equal(features.grad, whole)
    assert torch.equal(parameter.grad[0], of_weights[0])
    assert not parameter.grad[1:].any()


def test_a_decoder_without_a_gradient_rests_and_the_others_step_as_ever(parameter):
    ours, theirs = (nn.Parameter(parameter.detach().clone()) for _ in range(2))
    optimizers = [AdamW([p], lr=0.1, weight_decay=0.5, fused=True) for p in (ours, theirs)]
    rest_without_gradient([ours], optimizers[0])

    def step(*decoders):
        gradient = torch.zeros_like(ours)
        for k in decoders:
            gradient[k] = torch.randn(4, 5)
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = gradient.clone()
            optimizer.step()

    step(0, 1, 2)
    assert torch.equal(ours, theirs)
    before = [part.detach().clone() for part in (ours, *moments(optimizers[0], ours))]
    step(0, 2)
    after = [ours, *moments(optimizers[0], ours)]
    for old, new, plain in zip(before, after, [theirs, *moments(optimizers[1], theirs)], strict=True):
        assert torch.equal(new[1], old[1])
        assert not torch.equal(plain[1], old[1])  # decay and old moments would have moved it
        assert torch.equal(new[[0, 2]], plain[[0, 2]])


def test_a_tensor_without_a_gradient_is_left_to_the_optimizer(parameter):
    optimizer = AdamW([parameter], lr=0.1)
    rest_without_gradient([parameter], optimizer)
    before = parameter.detach().clone()
    optimizer.step()
    assert torch.equal(parameter, before)
