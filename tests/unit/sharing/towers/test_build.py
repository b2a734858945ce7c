"""Specs to towers."""

from transformers import BertConfig

from seqmtl.encoders.backbone import build_backbone
from seqmtl.encoders.cut import cut
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.sharing import BiLSTMTowerSpec, TransformerTowerSpec

BILSTM = BiLSTMTowerSpec(kind="bilstm", layers=2, width=6, dropout=0.2)
BLOCKS = TransformerTowerSpec(kind="transformer", layers=2)


def test_a_bilstm_tower_is_as_described_and_reads_the_ground_or_what_it_is_told():
    tower = Ground(4).tower(BILSTM)
    assert isinstance(tower, BiLSTMTower)
    assert (tower.depth, tower.out_features, tower.dropout.probability) == (2, 6, 0.2)
    assert tower.layers["0"].forward_lstm.input_size == 4
    assert Ground(4).tower(BILSTM, in_features=9).layers["0"].forward_lstm.input_size == 9


def test_a_tower_of_blocks_copies_what_the_encoder_leaves():
    config = BertConfig(vocab_size=8, hidden_size=12, num_hidden_layers=3, num_attention_heads=3, intermediate_size=8)
    ground = Ground(12, cut(build_backbone(config), layers=2))
    tower = ground.tower(BLOCKS)
    assert isinstance(tower, TransformerTower)
    assert (tower.depth, tower.out_features, tower.directions, tower.indivisible) == (2, 12, 1, 4)
