"""Specs to towers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from seqmtl.layers.blocks import TopBlocks
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.sharing import BiLSTMTowerSpec, TowerSpec, TransformerTowerSpec


@dataclass(frozen=True)
class Ground:
    """What a scheme is built on.

    Attributes:
        in_features: D, size of the encoder's states.
        top: the blocks that the encoder leaves to the towers; None: it keeps them.
        layers: how many layers of its own the encoder hands out, embeddings included; 0: none.
        word_labels: how many labels there are for a word, of each task whose head labels words.
    """

    in_features: int
    top: TopBlocks | None = None
    layers: int = 0
    word_labels: Mapping[str, int] = field(default_factory=dict)

    def tower(self, spec: TowerSpec, *, in_features: int | None = None) -> Tower:
        """A new tower.

        Args:
            spec: what was asked for.
            in_features: size of what it reads, where that is not the encoder's states.
        """
        match spec:
            case BiLSTMTowerSpec():
                return BiLSTMTower(
                    in_features or self.in_features, width=spec.width, layers=spec.layers, dropout=spec.dropout
                )
            case TransformerTowerSpec():
                assert self.top is not None  # who lays the ground sees to it
                return TransformerTower(self.top)
            case _:
                assert_never(spec)
