"""Towers of pretrained transformer blocks over pieces.

W windows, P pieces, B sentences, T words, D features.
"""

from copy import deepcopy

from torch import Tensor, nn

from seqmtl.batch import PieceStates, States
from seqmtl.layers.blocks import TopBlocks
from seqmtl.sharing.towers.base import Tower


class TransformerTower(Tower):
    """A copy of the top blocks of the encoder, which runs the blocks below once for all towers.

    The encoder's pooling and dropout turn pieces to words after the last layer, and after the norm that follows the
    last block in families that have one.
    """

    directions = 1

    def __init__(self, top: TopBlocks) -> None:
        """Copy ``top``, or, where its blocks have random weights, its shape."""
        super().__init__()
        self.layers = nn.ModuleDict({str(number): _copy(block) for number, block in enumerate(top.blocks)})
        self.norm = None if top.norm is None else _copy(top.norm)
        self.family = top.family
        self.depth = len(top.blocks)
        self.out_features = top.width
        self.indivisible = top.width // top.heads

    def load_pretrained(self, top: TopBlocks) -> None:
        """Take over the weights of ``top``."""
        for number, block in enumerate(top.blocks):
            if str(number) in self.layers:
                self.layers[str(number)].load_state_dict(block.state_dict())
        if self.norm is not None:
            assert top.norm is not None
            self.norm.load_state_dict(top.norm.state_dict())

    def enter(self, states: States) -> PieceStates:
        """Pieces."""
        assert isinstance(states, PieceStates)
        return states

    def layer(self, number: int, hidden: Tensor, states: States) -> Tensor:
        """``[W, P, D]`` to itself in shape, with what the encoder handed to this block."""
        assert isinstance(states, PieceStates)
        call = states.calls[number]
        output = self.layers[str(number)](hidden, *call.arguments, **call.options)
        return output[0] if self.family.pair else output

    def leave(self, hidden: Tensor, states: States) -> Tensor:
        """``[W, P, D]`` to ``[B, T, D]``."""
        assert isinstance(states, PieceStates)
        return states.pool(hidden if self.norm is None else self.norm(hidden))

    def output_map(self, number: int) -> nn.Linear:
        """The last map of a block's feed-forward part."""
        found = self.layers[str(number)].get_submodule(self.family.outputs[1])
        assert isinstance(found, nn.Linear)
        return found

    def unit_weights(self, number: int) -> list[Tensor]:
        """The output maps of attention and of the feed-forward part, ``[1, D, D]`` and ``[1, D, intermediate]``."""
        block = self.layers[str(number)]
        return [block.get_submodule(name).get_parameter("weight")[None] for name in self.family.outputs]


def _copy(module: nn.Module) -> nn.Module:
    """A copy that still reads the encoder's own configuration, so that both run the same attention."""
    configs = {id(part.config): part.config for part in module.modules() if hasattr(part, "config")}
    return deepcopy(module, memo=configs)  # type: ignore[arg-type]
