"""What an encoder is."""

from abc import ABC, abstractmethod

from torch import nn

from seqmtl.batch import Inputs, States


class Encoder(nn.Module, ABC):
    """Reads a batch of sentences once.

    Attributes:
        out_features: size of a state.
    """

    out_features: int

    @abstractmethod
    def forward(self, inputs: Inputs) -> States:
        """Encode every sentence of the batch."""

    @abstractmethod
    def input_embeddings(self) -> nn.Module:
        """The table of vectors of pieces or words."""
