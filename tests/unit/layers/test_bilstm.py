"""The bidirectional LSTM against torch's own, which packs its sequences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqmtl.layers.bilstm import BiLSTM, BiLSTMStack

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def masked(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths, default=0)) < torch.tensor(lengths)[:, None]


def torch_twin(stack: BiLSTMStack, *, in_features: int, width: int) -> nn.LSTM:
    """``nn.LSTM(bidirectional=True)`` with the weights of ``stack``."""
    twin = nn.LSTM(in_features, width // 2, num_layers=len(stack.layers), bidirectional=True, batch_first=True)
    for number, layer in enumerate(stack.layers):
        assert isinstance(layer, BiLSTM)
        for lstm, suffix in ((layer.forward_lstm, ""), (layer.backward_lstm, "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(twin, f"{kind}_l{number}{suffix}").data.copy_(getattr(lstm, f"{kind}_l0"))
    return twin


def packed(twin: nn.LSTM, states: Tensor, lengths: list[int]) -> Tensor:
    sequence = pack_padded_sequence(states, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(twin(sequence)[0], batch_first=True)[0]


@settings(max_examples=20)
@given(lengths=LENGTHS, layers=st.integers(1, 3))
def test_equals_torchs_packed_bidirectional_lstm_in_values_and_gradients(lengths: list[int], layers: int):
    stack = BiLSTMStack(5, width=8, layers=layers, dropout=0.0)
    twin = torch_twin(stack, in_features=5, width=8)
    mask = masked(lengths)
    ours = torch.randn(*mask.shape, 5, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    weights = torch.randn(*mask.shape, 8)
    out, expected = stack(ours, mask), packed(twin, theirs, lengths)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)
    first = stack.layers[0]
    assert isinstance(first, BiLSTM)
    torch.testing.assert_close(
        first.backward_lstm.weight_hh_l0.grad, twin.weight_hh_l0_reverse.grad, atol=1e-5, rtol=1e-5
    )


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_what_stands_at_padding_changes_nothing(lengths: list[int]):
    layer, mask = BiLSTM(4, width=6), masked(lengths)
    states = torch.randn(*mask.shape, 4)
    junk = torch.where(mask[..., None], states, 1e6)
    out = layer(states, mask)
    assert torch.equal(out, layer(junk, mask))
    assert not out[~mask].any()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)], ids=["no sequence", "no position"])
def test_nothing_to_read_keeps_shape_and_graph(shape: tuple[int, int]):
    stack = BiLSTMStack(4, width=6, layers=2, dropout=0.5)
    out = stack(torch.zeros(*shape, 4), torch.zeros(shape, dtype=torch.bool))
    assert out.shape == (*shape, 6)
    out.sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in stack.parameters())


def test_a_stack_without_layers_is_the_identity():
    stack = BiLSTMStack(4, width=6, layers=0, dropout=0.5)
    states = torch.randn(2, 3, 4)
    assert stack.out_features == 4
    assert stack(states, masked([3, 2])) is states


def test_initialisation_is_orthogonal_with_a_forget_bias_of_one():
    layer = BiLSTM(10, width=12)
    for lstm in (layer.forward_lstm, layer.backward_lstm):
        for gate in lstm.weight_hh_l0.chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6))
        bound = math.sqrt(6 / (10 + 6))  # Glorot and Bengio (2010) for one gate
        assert 0.8 * bound < lstm.weight_ih_l0.abs().max() <= bound
        total = lstm.bias_ih_l0 + lstm.bias_hh_l0
        assert torch.equal(total, torch.tensor([0.0] * 6 + [1.0] * 6 + [0.0] * 12))
