"""Towers of BiLSTM layers."""

import torch
from torch import nn

from seqmtl.batch import WordStates
from seqmtl.sharing.towers.bilstm import BiLSTMTower

MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def tower() -> BiLSTMTower:
    return BiLSTMTower(4, width=6, layers=3, dropout=0.0)


def test_layers_are_run_lowest_first_each_on_the_one_below():
    made, states = tower(), WordStates(torch.randn(2, 5, 4), MASK)
    expected = nn.Module.__call__(made.layers["0"], states.states, MASK)
    after = [expected]
    for number in "12":
        after.append(made.layers[number](after[-1], MASK))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(made.climb(states), after, strict=True))
    assert torch.equal(made(states), after[-1])


def test_padded_words_are_0_after_every_layer():
    for state in tower().climb(WordStates(torch.randn(2, 5, 4), MASK)):
        assert not state[~MASK].any()
        assert state[MASK].all()


def test_dropout_is_before_each_layer_in_training_only():
    made, states = BiLSTMTower(4, width=6, layers=2, dropout=0.5), WordStates(torch.randn(2, 5, 4), MASK)
    assert not torch.equal(made.train()(states), made(states))
    assert torch.equal(made.eval()(states), made(states))


def test_the_weights_of_units_are_the_input_weights_of_each_gate_and_direction():
    made = tower()
    lower, upper = made.unit_weights(0), made.unit_weights(1)
    assert [tuple(weight.shape) for weight in lower] == [(4, 3, 4)] * 2
    assert [tuple(weight.shape) for weight in upper] == [(4, 3, 6)] * 2
    layer = made.layers["0"]
    assert torch.equal(lower[1][1], layer.backward_lstm.weight_ih_l0[3:6])  # the forget gate of the backward direction


def test_a_dropped_layer_has_no_parameters_and_the_others_keep_their_numbers():
    made = tower()
    made.keep([0, 2])
    assert (list(made.layers), made.depth) == (["0", "2"], 3)
    assert not [name for name, _ in made.named_parameters() if name.startswith("layers.1.")]
