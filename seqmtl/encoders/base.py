"""What an encoder gives.

B sentences, T words, D features.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from seqmtl.batch import Inputs


@dataclass(frozen=True)
class WordStates:
    """One vector per word.

    Attributes:
        states: ``[B, T, D]``; what stands at padded words means nothing.
        mask: True at real words, ``[B, T]``.
    """

    states: Tensor
    mask: Tensor


class Encoder(nn.Module, ABC):
    """Reads a batch of sentences once.

    Attributes:
        out_features: D.
    """

    out_features: int

    @abstractmethod
    def forward(self, inputs: Inputs) -> WordStates:
        """Encode every sentence of the batch."""
