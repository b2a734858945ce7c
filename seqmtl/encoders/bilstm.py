"""Word embeddings and spelling, then BiLSTMs.

B sentences, T words, D features.
"""

import torch
from torch import nn

from seqmtl.batch import UNKNOWN, Inputs, WordStates
from seqmtl.encoders.base import Encoder
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN
from seqmtl.kernels.rows import rows_of
from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.layers.dropout import WordDropout


class BiLSTMEncoder(Encoder):
    """A word is its embedding beside the vector of its spelling; a stack of BiLSTMs reads the sentence.

    With zero layers the stack is left out, and word states are the embeddings: recurrence is then the towers' work.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        characters: CharacterCNN | CharacterBiLSTM | None,
        width: int,
        layers: int,
        dropout: float,
        word_dropout: float,
    ) -> None:
        """Compose the encoder; ``width`` is the size of a BiLSTM's two directions together."""
        super().__init__()
        self.word_dropout = WordDropout(word_dropout, unknown=UNKNOWN)
        self.embedding = embedding
        self.characters = characters
        in_features = embedding.embedding_dim + (characters.out_features if characters else 0)
        self.stack = BiLSTMStack(in_features, width=width, layers=layers, dropout=dropout)
        self.out_features = self.stack.out_features

    def forward(self, inputs: Inputs) -> WordStates:
        """Encode a batch that has word ids and, with a character model, characters."""
        assert inputs.word_ids is not None
        states = self.embedding(self.word_dropout(inputs.word_ids))  # [B, T, D_word]
        if self.characters is not None:
            assert inputs.characters is not None
            spelling = rows_of(self.characters(inputs.characters), inputs.characters.word)  # [B, T, D_char]
            states = torch.cat((states, spelling), dim=-1)  # [B, T, D]
        return WordStates(self.stack(states, inputs.word_mask), inputs.word_mask)

    def input_embeddings(self) -> nn.Module:
        """Those of words."""
        return self.embedding
