"""The Meta-LSTM of Triton against the reference: values, gradients, padding, sizes of more than a tile.

Where there is Triton and a GPU they run there. Without a GPU they run in Triton's interpreter, if asked to:

    TRITON_INTERPRET=1 pytest tests/unit/kernels/meta_lstm/test_triton.py
"""

import os
from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck

from seqmtl.kernels.meta_lstm import reference, triton

pytest.importorskip("triton", reason="Triton is not installed; torch's CUDA builds bring it")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("needs a GPU, or Triton's interpreter: TRITON_INTERPRET=1", allow_module_level=True)
DEVICE = "cpu" if INTERPRETED else "cuda"


def run(layer, form=triton):
    return form.meta_lstm(layer.inputs, layer.mask, layer.meta, layer.basic, z_offset=layer.z_offset)


def on_device(layer, dtype=torch.float32):
    tensors = tuple(tensor.detach().to(DEVICE, dtype).requires_grad_() for tensor in layer.tensors())
    return replace(layer.with_tensors(tensors), mask=layer.mask.to(DEVICE))


def gradients(layer, weight, form=triton):
    return torch.autograd.grad((run(layer, form).hidden * weight).sum(), layer.tensors())


def assert_equals_reference(layer):
    ours, theirs = run(layer), run(layer, reference)
    torch.testing.assert_close(ours, theirs)
    assert not ours.meta.requires_grad
    weight = torch.randn_like(ours.hidden)
    for one, other in zip(gradients(layer, weight), gradients(layer, weight, reference), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_ml1_equals_reference_in_value_and_gradient(layer):
    assert_equals_reference(on_device(layer))


@pytest.mark.parametrize("projected", [True, False])
def test_more_than_a_tile_of_everything(make_layer, projected):
    # Tiles are of 16 sentences and 64 units.
    layer = make_layer(tasks=1, directions=1, projected=projected, sizes=(3, 67, 65, 66), lengths=(2,) * 16 + (1,))
    small = [tensor.detach() * 0.3 for tensor in layer.tensors()[1:]]
    assert_equals_reference(on_device(layer.with_tensors((layer.inputs, *small))))


@pytest.mark.parametrize("projected", [True, False])
def test_gradient_is_exact(make_layer, projected):
    layer = make_layer(tasks=1, projected=projected, shared_directions=not projected, z_offset=0.5, lengths=(3, 1))
    layer = on_device(layer, torch.float64)
    assert gradcheck(lambda *tensors: run(layer.with_tensors(tensors)).hidden, layer.tensors(), fast_mode=True)


def test_ml6_padding_gets_no_gradient_and_gives_none(make_layer):
    layer = on_device(make_layer())
    weight = torch.randn_like(run(layer).hidden)
    grads = gradients(layer, weight)
    assert not grads[0][:, ~layer.mask].any()
    inputs = torch.where(layer.mask[None, :, :, None], layer.inputs, 7.0)
    other = layer.with_tensors((inputs.detach().requires_grad_(), *layer.tensors()[1:]))
    for one, same in zip(grads, gradients(other, weight), strict=True):
        assert torch.equal(one, same)


def test_ml6_a_padded_row_is_the_row_alone(make_layer):
    layer = on_device(make_layer())
    alone = replace(layer, inputs=layer.inputs[:, 1:2, :3], mask=layer.mask[1:2, :3])
    torch.testing.assert_close(run(layer).hidden[:, 1:2, :3], run(alone).hidden)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_numbers_are_computed_with_as_float32(make_layer, dtype):
    layer = on_device(make_layer(), dtype)
    long = on_device(layer)
    found = run(layer)
    assert found.hidden.dtype == found.meta.dtype == dtype
    torch.testing.assert_close(found.hidden, run(long).hidden.to(dtype))
    weight = torch.randn_like(found.hidden)
    for one, other in zip(gradients(layer, weight), gradients(long, weight), strict=True):
        torch.testing.assert_close(one, other.to(dtype))


def test_gradient_can_be_taken_twice_over_but_has_none_of_its_own(make_layer):
    layer = on_device(make_layer(tasks=1))
    total = run(layer).hidden.square().sum()
    first = torch.autograd.grad(total, layer.tensors(), retain_graph=True)
    second = torch.autograd.grad(total, layer.tensors(), retain_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    with pytest.raises(AssertionError, match="no gradient of its own"):
        torch.autograd.grad(total, layer.tensors(), create_graph=True)


@pytest.mark.parametrize("shape", [(0, 4), (2, 0)])
def test_nothing_to_read(make_layer, shape):
    layer = on_device(make_layer())
    inputs = torch.zeros(1, *shape, 5, device=DEVICE, requires_grad=True)
    empty = replace(layer, inputs=inputs, mask=torch.zeros(shape, dtype=torch.bool, device=DEVICE))
    found = run(empty)
    assert found.hidden.shape == (2, *shape, 8)
    grads = torch.autograd.grad(found.hidden.sum(), empty.tensors()[1:])
    assert not any(grad.any() for grad in grads)
