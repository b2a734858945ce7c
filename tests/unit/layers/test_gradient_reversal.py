"""Gradient reversal."""

import torch

from seqmtl.layers.gradient_reversal import reverse_gradient


def test_sp1_forward_is_the_identity_and_backward_minus_lambda():
    states, weight = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    found = reverse_gradient(states, scale=0.3)
    assert torch.equal(found, states)
    (found * weight).sum().backward()
    assert states.grad is not None
    torch.testing.assert_close(states.grad, -0.3 * weight)


def test_sp1_gradients_of_several_losses_at_once_are_reversed_too():
    # As the gradient methods of multi-task learning ask for them.
    states, rows = torch.randn(4, requires_grad=True), torch.randn(5, 4)
    (found,) = torch.autograd.grad(reverse_gradient(states, scale=2.0), states, rows, is_grads_batched=True)
    torch.testing.assert_close(found, -2.0 * rows)
