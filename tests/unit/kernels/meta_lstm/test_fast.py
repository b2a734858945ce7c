"""The fast Meta-LSTM against the reference and against torch's LSTM: values, gradients, padding, directions."""

import pytest
import torch
from torch.autograd import gradcheck

from seqmtl.kernels.meta_lstm import BasicWeights, MetaWeights, fast, reference


def run(layer, form=fast):
    return form.meta_lstm(layer.inputs, layer.mask, layer.meta, layer.basic, z_offset=layer.z_offset)


def test_ml1_equals_reference(layer):
    ours, theirs = run(layer), run(layer, reference)
    torch.testing.assert_close(ours.hidden, theirs.hidden)
    torch.testing.assert_close(ours.meta, theirs.meta)
    assert not ours.meta.requires_grad


def test_ml1_gradients_equal_those_of_the_reference(layer):
    weight = torch.randn_like(run(layer).hidden)
    ours, theirs = (
        torch.autograd.grad((run(layer, form).hidden * weight).sum(), layer.tensors()) for form in (fast, reference)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("projected", [True, False])
def test_gradient_is_exact(make_layer, threads, projected):
    layer = make_layer(projected=projected, shared_directions=not projected, shared_input=projected, z_offset=0.5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert gradcheck(lambda *tensors: run(layer.with_tensors(tensors)).hidden, layer.tensors(), fast_mode=True)
    finally:
        torch.set_num_threads(before)


def test_gradient_can_be_taken_twice_over_but_has_none_of_its_own(make_layer):
    layer = make_layer()
    total = run(layer).hidden.square().sum()
    first = torch.autograd.grad(total, layer.tensors(), retain_graph=True)
    second = torch.autograd.grad(total, layer.tensors(), retain_graph=True)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    with pytest.raises(AssertionError, match="no gradient of its own"):
        torch.autograd.grad(total, layer.tensors(), create_graph=True)


def test_ml2_z_of_one_is_an_lstm():
    d, h, z = 5, 4, 3
    left, right = torch.randn(1, 2, 4, h, z).double(), torch.randn(1, 2, 4, z, d + h).double()
    bias = torch.randn(1, 2, 4, h, z).double()
    meta = MetaWeights(torch.randn(2, 8, d + 2 + h).double(), torch.randn(2, 8).double(), torch.zeros(2, z, 2).double())
    lstm = torch.nn.LSTM(d, h, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            weights = (left @ right)[0, direction][[1, 2, 0, 3]].flatten(0, 1)  # torch: i, f, g, o
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(weights[:, :d])
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(weights[:, d:])
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(bias[0, direction][[1, 2, 0, 3]].sum(-1).flatten())
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
    inputs, mask = torch.randn(1, 3, 6, d).double(), torch.ones(3, 6, dtype=torch.bool)
    found = fast.meta_lstm(inputs, mask, meta, BasicWeights(left, right, bias), z_offset=1.0)
    torch.testing.assert_close(found.hidden[0], lstm(inputs[0])[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_ml6_padded_row_is_the_row_alone_bit_for_bit(threads):
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        lengths, (d, h, m, z) = torch.tensor([23, 1, 40, 7, 0, 16]), (64, 40, 24, 16)
        mask = torch.arange(40) < lengths[:, None]
        inputs = torch.randn(1, 6, 40, d)
        meta = MetaWeights(torch.randn(2, 4 * m, d + m + h) * 0.1, torch.randn(2, 4 * m), torch.randn(2, z, m))
        basic = BasicWeights(*(torch.randn(2, 2, 4, *shape) * 0.2 for shape in ((h, z), (z, d + h), (h, z))))
        together = fast.meta_lstm(inputs, mask, meta, basic)
        for row, length in enumerate(lengths.tolist()):
            found = []
            for words in (length, length + 5):
                part = torch.randn(1, 1, words, d)  # whatever stands at padding
                part[:, 0, :length] = inputs[:, row, :length]
                found.append(fast.meta_lstm(part, (torch.arange(words) < length)[None], meta, basic).hidden[:, 0])
            alone, padded = found
            assert torch.equal(padded[:, :length], alone), length
            assert not padded[:, length:].any()
            torch.testing.assert_close(together.hidden[:, row, :length], alone)
    finally:
        torch.set_num_threads(before)


def test_ml6_padding_gets_no_gradient_and_gives_none(make_layer):
    layer = make_layer()
    weight = torch.randn_like(run(layer).hidden)
    grads = torch.autograd.grad((run(layer).hidden * weight).sum(), layer.tensors())
    assert not grads[0][:, ~layer.mask].any()
    inputs = torch.where(layer.mask[None, :, :, None], layer.inputs, 7.0)
    other = layer.with_tensors((inputs.detach().requires_grad_(), *layer.tensors()[1:]))
    for one, same in zip(grads, torch.autograd.grad((run(other).hidden * weight).sum(), other.tensors()), strict=True):
        assert torch.equal(one, same)


def test_ml6_order_of_sentences_does_not_matter(make_layer):
    layer = make_layer()
    order = torch.tensor([2, 0, 1])
    other = fast.meta_lstm(layer.inputs[:, order], layer.mask[order], layer.meta, layer.basic)
    torch.testing.assert_close(other.hidden, run(layer).hidden[:, order])


def test_reversed_sentences_with_swapped_directions_give_reversed_states(make_layer):
    layer = make_layer()
    mask = torch.ones(3, 6, dtype=torch.bool)
    swapped = (
        MetaWeights(*(part.flip(0) for part in layer.meta)),
        BasicWeights(*(part.flip(1) for part in layer.basic)),
    )
    forth = fast.meta_lstm(layer.inputs, mask, layer.meta, layer.basic).hidden
    back = fast.meta_lstm(layer.inputs.flip(2), mask, *swapped).hidden
    torch.testing.assert_close(back.flip(2).roll(4, dims=-1), forth)


def test_ml4_tasks_with_the_same_weights_are_the_same(make_layer):
    layer = make_layer(tasks=2)
    basic = BasicWeights(*(part[:1].expand(2, *part.shape[1:]) for part in layer.basic))
    hidden = fast.meta_lstm(layer.inputs, layer.mask, layer.meta, basic).hidden
    torch.testing.assert_close(hidden[0], hidden[1])


@pytest.mark.parametrize("shape", [(0, 4), (2, 0)])
def test_nothing_to_read(make_layer, shape):
    layer = make_layer()
    inputs = torch.zeros(1, *shape, 5, dtype=torch.float64, requires_grad=True)
    found = fast.meta_lstm(inputs, torch.zeros(shape, dtype=torch.bool), layer.meta, layer.basic)
    assert found.hidden.shape == (2, *shape, 8)
    grads = torch.autograd.grad(found.hidden.sum(), layer.tensors()[1:])
    assert not any(grad.any() for grad in grads)
