"""Dropout of whole sequences' features and of whole words."""

import pytest
import torch

from seqmtl.layers.dropout import VariationalDropout, WordDropout


def test_variational_dropout_drops_a_feature_at_all_positions_of_a_sequence_or_at_none():
    out = VariationalDropout(0.25)(torch.ones(200, 7, 50))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert torch.isclose(out.unique(), torch.tensor([0.0, 1 / 0.75])).all()
    assert abs((out[:, 0] == 0).float().mean() - 0.25) < 0.02
    assert not torch.equal(out[0], out[1])


@pytest.mark.parametrize(("probability", "training"), [(0.5, False), (0.0, True)])
def test_variational_dropout_is_the_identity_otherwise(probability: float, training: bool):
    states = torch.randn(2, 3, 4)
    assert VariationalDropout(probability).train(training)(states) is states


def test_word_dropout_replaces_some_words_and_no_padding():
    ids = torch.randint(2, 50, (100, 40))
    ids[:, 30:] = 0
    out = WordDropout(0.2, unknown=1)(ids)
    assert torch.equal(out[:, 30:], ids[:, 30:])
    changed = out != ids
    assert (out[changed] == 1).all()
    assert abs(changed[:, :30].float().mean() - 0.2) < 0.03


@pytest.mark.parametrize(("probability", "training"), [(0.5, False), (0.0, True)])
def test_word_dropout_is_the_identity_otherwise(probability: float, training: bool):
    ids = torch.randint(0, 9, (3, 4))
    assert WordDropout(probability, unknown=1).train(training)(ids) is ids
