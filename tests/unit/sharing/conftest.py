"""A tiny BERT, whole and with its blocks cut off for towers."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seqmtl.batch import Inputs
from seqmtl.data.indexers import new_indexer
from seqmtl.encoders.backbone import load_backbone, load_backbone_config
from seqmtl.encoders.build import InventorySizes, build_encoder
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.encoders import TransformerEncoderSpec


@dataclass(frozen=True)
class Cut:
    """An encoder of two blocks, in evaluation mode.

    Attributes:
        whole: as it was.
        encoder: without its blocks.
        ground: with the blocks, on which towers are built.
        inputs: sentences, one of them without words, one in several windows.
    """

    whole: TransformerEncoder
    encoder: TransformerEncoder
    ground: Ground
    inputs: Inputs


@pytest.fixture
def cut(tiny_encoder: Path, tiny_rows: list[dict[str, Any]]) -> Cut:
    """A BERT from which both blocks are cut."""
    spec = TransformerEncoderSpec.parse(
        {"kind": "transformer", "pretrained": str(tiny_encoder), "pooling": "first", "max_pieces": 9, "overlap": 3},
        source="test",
    )
    backbone = load_backbone_config(spec.pretrained)
    indexer = new_indexer(spec, backbone=backbone, sentences=[])
    encoder = build_encoder(spec, backbone=backbone, sizes=InventorySizes())
    assert isinstance(encoder, TransformerEncoder)
    encoder.model.load_state_dict(load_backbone(spec.pretrained).state_dict())
    whole = deepcopy(encoder).eval()
    ground = Ground(encoder.out_features, encoder.cut(2))
    return Cut(whole, encoder.eval(), ground, indexer([row["tokens"] for row in tiny_rows]))
