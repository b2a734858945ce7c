"""Towers of BiLSTM layers over words.

B sentences, T words, D and H features.
"""

from torch import Tensor, nn

from seqmtl.batch import States, WordStates
from seqmtl.layers.bilstm import BiLSTM
from seqmtl.layers.dropout import VariationalDropout
from seqmtl.sharing.towers.base import Tower


class BiLSTMTower(Tower):
    """BiLSTM layers with variational dropout before each."""

    directions = 2
    indivisible = 1

    def __init__(self, in_features: int, *, width: int, layers: int, dropout: float) -> None:
        """``width`` is H, the size of both directions together."""
        super().__init__()
        sizes = [in_features, *[width] * (layers - 1)]
        self.layers = nn.ModuleDict({str(number): BiLSTM(size, width=width) for number, size in enumerate(sizes)})
        self.dropout = VariationalDropout(dropout)
        self.depth = layers
        self.out_features = width

    def enter(self, states: States) -> WordStates:
        """Words."""
        return states.words()

    def layer(self, number: int, hidden: Tensor, states: States) -> Tensor:
        """``[B, T, D]`` to ``[B, T, H]``, 0 where padded."""
        return self.layers[str(number)](self.dropout(hidden), states.mask)

    def leave(self, hidden: Tensor, states: States) -> Tensor:  # noqa: ARG002  # they are words
        """The states themselves."""
        return hidden

    def unit_weights(self, number: int) -> list[Tensor]:
        """The weights of the four gates on the layer's inputs, for each direction, ``[4, H / 2, D]``."""
        layer = self.layers[str(number)]
        assert isinstance(layer, BiLSTM)
        lstms = (layer.forward_lstm, layer.backward_lstm)
        return [lstm.get_parameter("weight_ih_l0").unflatten(0, (4, -1)) for lstm in lstms]
