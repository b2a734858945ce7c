"""Specs become the encoders that they describe."""

from typing import Any

import pytest
import torch

from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.build import InventorySizes, build_encoder
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.specs.encoders import BiLSTMEncoderSpec

SIZES = InventorySizes(words=30, characters=12)


def bilstm(**values: Any) -> BiLSTMEncoder:
    spec = BiLSTMEncoderSpec.parse({"kind": "bilstm", **values}, source="test")
    encoder = build_encoder(spec, backbone=None, sizes=SIZES)
    assert isinstance(encoder, BiLSTMEncoder)
    return encoder


def test_a_bilstm_spec_gives_a_bilstm():
    encoder = bilstm(
        word_dim=7, width=10, layers=3, dropout=0.2, word_dropout=0.3, characters={"kind": "cnn", "dim": 3, "width": 4}
    )
    assert encoder.embedding.weight.shape == (30, 7)
    assert encoder.embedding.padding_idx == 0
    assert not encoder.embedding.weight[0].any()
    assert isinstance(encoder.characters, CharacterCNN)
    assert encoder.characters.embedding.weight.shape == (12, 3)
    assert encoder.out_features == 10
    assert len(encoder.stack.layers) == 3
    assert encoder.stack.dropout.probability == 0.2
    assert encoder.word_dropout.probability == 0.3


@pytest.mark.parametrize(
    ("characters", "features"), [(None, 7), ({"kind": "cnn", "width": 4}, 11), ({"kind": "bilstm", "width": 4}, 11)]
)
def test_a_bilstm_without_layers_has_the_width_of_its_embeddings(characters: Any, features: int):
    assert bilstm(word_dim=7, layers=0, characters=characters).out_features == features


def test_a_transformer_spec_gives_a_transformer(bert):
    encoder = build_encoder(
        bert.spec(pooling="last", dropout=0.25, scalar_mix=True, characters={"kind": "bilstm", "dim": 3, "width": 4}),
        backbone=bert.config,
        sizes=SIZES,
    )
    assert isinstance(encoder, TransformerEncoder)
    assert encoder.pooling == "last"
    assert encoder.dropout.p == 0.25
    assert encoder.out_features == 16
    assert encoder.scalar_mix is not None
    assert encoder.scalar_mix.weights.shape == (3,)
    assert isinstance(encoder.characters, CharacterBiLSTM)
    assert encoder.characters.embedding.weight.shape == (12, 3)
    assert encoder.spelling is not None
    assert encoder.spelling.weight.shape == (16, 4)
    assert not encoder.spelling.weight.any()


def test_spelling_has_the_size_of_the_embeddings_not_of_the_states(make_family):
    encoder = make_family("electra").encoder(characters=True)
    assert encoder.out_features == 16
    assert encoder.spelling is not None
    assert encoder.spelling.weight.shape == (8, 6)


def test_what_is_not_asked_for_is_not_there(bert):
    encoder = bert.encoder()
    assert encoder.scalar_mix is None
    assert encoder.characters is None
    assert encoder.spelling is None
    assert all(name.startswith("model.") for name in encoder.state_dict())


def test_dropout_is_for_training(bert):
    encoder, inputs = bert.encoder(dropout=0.5), bert.indexer()([["the", "teacher"]])
    assert torch.equal(encoder(inputs).words().states, encoder(inputs).words().states)
    encoder.dropout.train()
    dropped = encoder(inputs).words().states == 0
    assert 0 < dropped.float().mean() < 1
