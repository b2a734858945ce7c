"""What a tower is.

N sequences, L positions: B sentences of T words, or W windows of P pieces. D, H features.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from seqmtl.batch import States


class Tower(nn.Module, ABC):
    """A stack of layers over states of one kind, words or pieces, that can be run layer by layer.

    Attributes:
        layers: by number, "0" the lowest; one that pruning dropped is not there.
        depth: how many layers there are by number.
        out_features: H, size of a state after every layer.
        directions: 2 when a state is two directions side by side, else 1.
        indivisible: neighbouring units that a subspace must not part: the size of an attention head, or 1.
    """

    layers: nn.ModuleDict
    depth: int
    out_features: int
    directions: int
    indivisible: int

    @abstractmethod
    def enter(self, states: States) -> States:
        """The states on which the layers work; towers of one shape may share them."""

    @abstractmethod
    def layer(self, number: int, hidden: Tensor, states: States) -> Tensor:
        """One layer: ``[N, L, D]`` to ``[N, L, H]``, where ``states`` is what ``enter`` gave."""

    @abstractmethod
    def leave(self, hidden: Tensor, states: States) -> Tensor:
        """States after some layer, ``[N, L, H]``, to features of words, ``[B, T, H]``."""

    @abstractmethod
    def unit_weights(self, number: int) -> list[Tensor]:
        """The weights of a layer, each ``[G, R, D]``: G matrices (of gates) with a row per unit of one direction."""

    def forward(self, states: States) -> Tensor:
        """All layers: states to features of words, ``[B, T, H]``."""
        entered = self.enter(states)
        return self.leave(self.climb(entered)[-1], entered)

    def climb(self, entered: States) -> list[Tensor]:
        """The states after each layer, ``[N, L, H]``, from what ``enter`` gave."""
        hidden, after = entered.states, []
        for number in range(self.depth):
            hidden = self.layer(number, hidden, entered)
            after.append(hidden)
        return after

    def keep(self, numbers: Sequence[int]) -> None:
        """Drop all layers but these."""
        self.layers = nn.ModuleDict({str(number): self.layers[str(number)] for number in numbers})

    def outer_parameters(self) -> list[nn.Parameter]:
        """The parameters outside of the layers: of a norm that follows the last."""
        return [p for name, p in self.named_parameters() if not name.startswith("layers.")]
