"""Blocks of a pretrained transformer, on their own."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Family:
    """What must be known of a family of transformers to run its blocks outside of its own forward pass.

    Attributes:
        outputs: the linear maps of a block whose rows are the units of its state, after attention and feed-forward.
        pair: whether a block returns a pair, whose first is the state.
        norm: name of the norm that follows the last block; None: the family has none there.
    """

    outputs: tuple[str, str]
    pair: bool = False
    norm: str | None = None


@dataclass(frozen=True)
class TopBlocks:
    """The blocks that were cut off a transformer.

    Attributes:
        family: how they are run.
        blocks: lowest first.
        norm: what follows the last of them; None: nothing.
        width: D.
        heads: attention heads.
    """

    family: Family
    blocks: tuple[nn.Module, ...]
    norm: nn.Module | None
    width: int
    heads: int
