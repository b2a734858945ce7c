"""A pretrained transformer, its sub-word states pooled to words.

B sentences, T words, W windows, P pieces, D features, U distinct words, F character features.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from seqmtl.batch import Inputs, LetterCase, PieceInputs, PieceStates
from seqmtl.encoders.base import Encoder
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN
from seqmtl.encoders.cut import cut, taps
from seqmtl.errors import ConfigError
from seqmtl.kernels.rows import rows_of
from seqmtl.layers.blocks import TopBlocks
from seqmtl.layers.scalar_mix import ScalarMix

Pooling = Literal["first", "mean", "last"]


class TransformerEncoder(Encoder):
    """Any ``AutoModel`` over windows of pieces.

    An uncased encoder can be told what it does not see, in all its layers: a vector for each word's letter case, and a
    projection of its spelling, are added to the embeddings of its pieces. Both start at zero, so the encoder starts as
    the pretrained one. The features are those of Collobert et al. (2011); adding them there is ours, not from a paper.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pooling: Pooling,
        scalar_mix: ScalarMix | None,
        characters: CharacterCNN | CharacterBiLSTM | None,
        case: bool,
        dropout: float,
    ) -> None:
        """Wrap ``model``; ``scalar_mix`` mixes its embeddings and all its layers, None takes the last layer."""
        super().__init__()
        self.model = model
        self.pooling: Pooling = pooling
        self.scalar_mix = scalar_mix
        self.characters = characters
        self.out_features: int = model.config.hidden_size
        embeddings = model.get_input_embeddings()
        assert isinstance(embeddings, nn.Embedding)
        width = embeddings.embedding_dim
        self.spelling = None if characters is None else SpellingProjection(characters.out_features, width)
        self.case = CaseEmbedding(width) if case else None
        self.dropout = nn.Dropout(dropout)
        self.hands_out_layers = False

    def forward(self, inputs: Inputs) -> PieceStates:
        """Encode a batch that has pieces, and characters and letter cases where the encoder reads them."""
        pieces = inputs.pieces
        assert pieces is not None
        mask = inputs.word_mask

        def to_words(states: Tensor) -> Tensor:
            return self.dropout(pool(states, pieces, mask, self.pooling))

        *below, states = self._run(inputs, pieces)
        layers = (*below, states) if self.hands_out_layers else ()
        mixed = states if self.scalar_mix is None else self.scalar_mix([*below, states])
        calls = tuple(tap.take() for tap in taps(self.model))
        return PieceStates(mixed, pieces, mask, to_words, calls=calls, layers=layers)

    def hand_out_layers(self, *, key: str) -> int:
        """Give the states of all layers from now on, for which ``key`` asks; return how many there are.

        Raises:
            ConfigError: when the encoder mixes them itself.
        """
        if self.scalar_mix is not None:
            raise ConfigError(
                f"{key}: each task mixes the layers for itself, and encoder.scalar_mix for all; leave out one"
            )
        self.hands_out_layers = True
        return self.model.config.num_hidden_layers + 1

    def input_embeddings(self) -> nn.Module:
        """Those of pieces."""
        return self.model.get_input_embeddings()

    def cut(self, layers: int, *, key: str = "sharing.tower") -> TopBlocks:
        """Leave the top ``layers`` blocks to towers, for which ``key`` asks: the states are then those below them.

        Raises:
            ConfigError: when the encoder has no such blocks, or mixes its layers.
        """
        if self.scalar_mix is not None:
            raise ConfigError(
                "encoder.scalar_mix: the top blocks belong to the towers, so there are no layers to mix; "
                "leave it out, or use sharing.kind 'sluice', which mixes the layers of its towers"
            )
        return cut(self.model, layers=layers, key=key)

    def _run(self, inputs: Inputs, pieces: PieceInputs) -> Sequence[Tensor]:
        """The states of all pieces, ``[W, P, D]``: of embeddings and all layers where they are wanted, or the last."""
        mask = pieces.mask.long()
        several = self.scalar_mix is not None or self.hands_out_layers
        if self.characters is None and self.case is None:
            output = self.model(input_ids=pieces.ids, attention_mask=mask, output_hidden_states=several)
        else:
            embedded = self._embed(inputs, pieces)
            output = self.model(inputs_embeds=embedded, attention_mask=mask, output_hidden_states=several)
        return output.hidden_states if several else [output.last_hidden_state]

    def _embed(self, inputs: Inputs, pieces: PieceInputs) -> Tensor:
        """Piece embeddings with what the encoder is told of their words, ``[W, P, D_embedding]``."""
        embedded = self.model.get_input_embeddings()(pieces.ids)
        for hint in self._hints(inputs):
            rows = nn.functional.pad(hint.flatten(0, 1), (0, 0, 1, 0))  # a first row of zeros: special pieces, at -1
            embedded = embedded + rows_of(rows, pieces.word + 1)
        return embedded

    def _hints(self, inputs: Inputs) -> list[Tensor]:
        """What is added to the embeddings of each word's pieces, each ``[B, T, D_embedding]``."""
        hints = []
        if self.characters is not None:
            assert self.spelling is not None
            assert inputs.characters is not None
            hints.append(rows_of(self.spelling(self.characters(inputs.characters)), inputs.characters.word))
        if self.case is not None:
            assert inputs.letter_cases is not None
            hints.append(self.case(inputs.letter_cases))
        return hints


class CaseEmbedding(nn.Module):
    """A vector per letter case; all start at zero."""

    def __init__(self, out_features: int) -> None:
        """Vectors of ``out_features``, one for each ``LetterCase``."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(LetterCase), out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All zero."""
        nn.init.zeros_(self.weight)

    def forward(self, letter_cases: Tensor) -> Tensor:
        """``[B, T]`` to ``[B, T, D]``."""
        return nn.functional.embedding(letter_cases, self.weight)


class SpellingProjection(nn.Module):
    """A linear map that starts at zero."""

    def __init__(self, in_features: int, out_features: int) -> None:
        """From ``in_features`` to ``out_features``, without bias."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All zero."""
        nn.init.zeros_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """``[U, F]`` to ``[U, D]``."""
        return nn.functional.linear(features, self.weight)


def pool(states: Tensor, pieces: PieceInputs, word_mask: Tensor, pooling: Pooling) -> Tensor:
    """Piece states ``[W, P, D]`` to word states ``[B, T, D]``; each word is read from the window that owns it."""
    flat = states.flatten(0, 1)  # [W * P, D]
    if pooling == "first":
        return rows_of(flat, pieces.first)
    if pooling == "last":
        return rows_of(flat, pieces.last)
    # Pieces that no word owns are added to one more row, which is cut off.
    n_words = word_mask.numel()
    owner = torch.where(pieces.owned, pieces.word, n_words).flatten()  # [W * P]
    sums = flat.new_zeros(n_words + 1, flat.shape[-1]).index_add(0, owner, flat)[:n_words]
    counts = (pieces.last - pieces.first + 1).flatten()  # owned pieces of a word are neighbours
    return (sums / counts[:, None]).view(*word_mask.shape, flat.shape[-1])
