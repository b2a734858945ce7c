"""Specs to encoders: sizes and modules are settled here, so that layers never see a spec."""

from dataclasses import dataclass
from typing import assert_never

from torch import nn
from transformers import PreTrainedConfig

from seqmtl.encoders.backbone import build_backbone
from seqmtl.encoders.base import Encoder
from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.layers.scalar_mix import ScalarMix
from seqmtl.specs.encoders import (
    BiLSTMEncoderSpec,
    CharacterBiLSTMSpec,
    CharacterCNNSpec,
    CharacterSpec,
    EncoderSpec,
    TransformerEncoderSpec,
)


@dataclass(frozen=True)
class InventorySizes:
    """Ids in use in the vocabularies that travel with the model; 0 where there is no such vocabulary."""

    words: int = 0
    characters: int = 0


def build_encoder(spec: EncoderSpec, *, backbone: PreTrainedConfig | None, sizes: InventorySizes) -> Encoder:
    """The encoder that ``spec`` describes, with random weights.

    Args:
        spec: what was asked for.
        backbone: shape of the transformer; None for an encoder without one.
        sizes: of the vocabularies.
    """
    match spec:
        case TransformerEncoderSpec():
            assert backbone is not None
            return TransformerEncoder(
                build_backbone(backbone),
                pooling=spec.pooling,
                scalar_mix=ScalarMix(backbone.num_hidden_layers + 1) if spec.scalar_mix else None,
                characters=_characters(spec.characters, sizes),
                case=spec.case,
                dropout=spec.dropout,
            )
        case BiLSTMEncoderSpec():
            return BiLSTMEncoder(
                nn.Embedding(sizes.words, spec.word_dim, padding_idx=0),
                characters=_characters(spec.characters, sizes),
                width=spec.width,
                layers=spec.layers,
                dropout=spec.dropout,
                word_dropout=spec.word_dropout,
            )
        case _:
            assert_never(spec)


def build_characters(spec: CharacterSpec, *, vocabulary: int) -> CharacterCNN | CharacterBiLSTM:
    """The character model that ``spec`` describes, for ``vocabulary`` character ids."""
    match spec:
        case CharacterCNNSpec():
            return CharacterCNN(vocabulary, dim=spec.dim, width=spec.width, kernel=spec.kernel, dropout=spec.dropout)
        case CharacterBiLSTMSpec():
            return CharacterBiLSTM(vocabulary, dim=spec.dim, width=spec.width, dropout=spec.dropout)
        case _:
            assert_never(spec)


def _characters(spec: CharacterSpec | None, sizes: InventorySizes) -> CharacterCNN | CharacterBiLSTM | None:
    return None if spec is None else build_characters(spec, vocabulary=sizes.characters)
