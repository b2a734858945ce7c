"""A word's spelling as a vector.

U distinct words, C characters, E character embedding, F features.
"""

import torch
from torch import Tensor, nn

from seqmtl.batch import CharacterInputs
from seqmtl.layers.bilstm import BiLSTM


class CharacterCNN(nn.Module):
    """Convolution and maximum over a word's characters (Ma and Hovy 2016)."""

    def __init__(self, vocabulary: int, *, dim: int, width: int, kernel: int, dropout: float) -> None:
        """``vocabulary`` ids, 0 for padding; ``width`` filters, each over ``kernel`` characters."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.convolution = nn.Conv1d(dim, width, kernel, padding=kernel - 1)
        self.kernel = kernel
        self.out_features = width

    def forward(self, characters: CharacterInputs) -> Tensor:
        """Each distinct word's vector, ``[U, F]``."""
        embedded = self.dropout(self.embedding(characters.ids)).mT  # [U, E, C]
        convolved = self.convolution(embedded)  # [U, F, C + kernel - 1]
        # Windows that lie in the padding altogether are not part of the word.
        positions = torch.arange(convolved.shape[-1], device=convolved.device)
        outside = positions >= (characters.lengths + self.kernel - 1)[:, None]  # [U, C + kernel - 1]
        return convolved.masked_fill(outside[:, None], float("-inf")).amax(dim=-1).relu()


class CharacterBiLSTM(nn.Module):
    """Last states of both directions over a word's characters (Lample et al. 2016)."""

    def __init__(self, vocabulary: int, *, dim: int, width: int, dropout: float) -> None:
        """``vocabulary`` ids, 0 for padding; ``width`` is the size of both directions together."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.lstm = BiLSTM(dim, width=width)
        self.out_features = width

    def forward(self, characters: CharacterInputs) -> Tensor:
        """Each distinct word's vector, ``[U, F]``."""
        mask = torch.arange(characters.ids.shape[1], device=characters.ids.device) < characters.lengths[:, None]
        states = self.lstm(self.dropout(self.embedding(characters.ids)), mask)  # [U, C, F]
        forth, back = states.chunk(2, dim=-1)
        rows = torch.arange(states.shape[0], device=states.device)
        return torch.cat((forth[rows, characters.lengths - 1], back[:, 0]), dim=-1)
