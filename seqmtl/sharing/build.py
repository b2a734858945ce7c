"""Specs to sharing schemes."""

from collections.abc import Sequence
from typing import assert_never

from seqmtl.layers.bilstm import BiLSTMStack
from seqmtl.sharing.base import Sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.specs.sharing import BiLSTMTowerSpec, HardSharingSpec, IndependentSpec, SharingSpec


def build_sharing(spec: SharingSpec, *, in_features: int, tasks: Sequence[str]) -> Sharing:
    """The scheme that ``spec`` describes, over word states of ``in_features``."""
    match spec:
        case HardSharingSpec():
            tower = None if spec.tower is None else build_tower(spec.tower, in_features=in_features)
            return HardSharing(in_features, tower=tower)
        case IndependentSpec():
            return Independent({task: build_tower(spec.tower, in_features=in_features) for task in tasks})
        case _:
            assert_never(spec)


def build_tower(spec: BiLSTMTowerSpec, *, in_features: int) -> BiLSTMStack:
    """One tower."""
    return BiLSTMStack(in_features, width=spec.width, layers=spec.layers, dropout=spec.dropout)
