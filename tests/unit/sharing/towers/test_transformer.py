"""Towers of transformer blocks, one family for each way in which they differ.

W windows, P pieces, D features.
"""

import pytest
import torch
from torch import nn
from transformers import BertConfig, ModernBertConfig, PreTrainedModel

from seqmtl.batch import PieceInputs, PieceStates
from seqmtl.encoders.backbone import build_backbone
from seqmtl.encoders.cut import cut, taps
from seqmtl.layers.blocks import TopBlocks
from seqmtl.sharing.towers.transformer import TransformerTower

SIZES = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 8}
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 3, 3]])
MASK = IDS != 3


def bert() -> PreTrainedModel:
    return build_backbone(BertConfig(**SIZES)).eval()


def modernbert() -> PreTrainedModel:
    specials = {"pad_token_id": 3, "bos_token_id": 0, "cls_token_id": 0, "eos_token_id": 2, "sep_token_id": 2}
    return build_backbone(ModernBertConfig(**SIZES, **specials)).eval()


def states_of(model: PreTrainedModel) -> PieceStates:
    """What the model leaves to towers; its words are its pieces."""
    states = model(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state
    first = torch.arange(8).view(2, 4)
    pieces = PieceInputs(IDS, MASK, first, MASK, first, first)
    return PieceStates(states, pieces, MASK, lambda pieces: pieces, calls=tuple(tap.take() for tap in taps(model)))


@pytest.mark.parametrize("make", [bert, modernbert])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_tower_gives_what_the_whole_encoder_gives_bit_for_bit(make, layers: int):
    model = make()
    with torch.no_grad():
        whole = model(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state
        tower = TransformerTower(cut(model, layers=layers)).eval()
        assert torch.equal(tower(states_of(model)), whole)


def test_a_tower_has_weights_of_its_own_and_the_configuration_of_the_encoder():
    model = modernbert()
    top = cut(model, layers=2)
    one, other = TransformerTower(top), TransformerTower(top)
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours is not theirs
    assert not {id(p) for p in one.parameters()} & {id(p) for block in top.blocks for p in block.parameters()}
    assert {id(part.config) for part in one.modules() if hasattr(part, "config")} == {id(model.config)}


def test_pretrained_weights_are_taken_over_by_the_layers_that_are_left():
    random, pretrained = cut(modernbert(), layers=2), cut(modernbert(), layers=2)
    assert pretrained.norm is not None
    nn.init.normal_(pretrained.norm.weight)
    tower = TransformerTower(random)
    tower.keep([1])
    tower.load_pretrained(pretrained)
    assert list(tower.layers) == ["1"]
    expected = pretrained.blocks[1].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in tower.layers["1"].state_dict().items())
    assert tower.norm is not None
    assert torch.equal(tower.norm.weight, pretrained.norm.weight)


@torch.no_grad()
def test_the_norm_after_the_last_block_follows_whatever_layer_is_left():
    model = modernbert()
    top = cut(model, layers=2)
    assert top.norm is not None
    nn.init.normal_(top.norm.weight)
    tower, states = TransformerTower(top).eval(), states_of(model)
    lower = tower.climb(states)[0]
    assert torch.equal(tower.leave(lower, states), top.norm(lower))
    assert torch.equal(TransformerTower(cut(bert(), layers=2)).leave(lower, states), lower)


@torch.no_grad()
def test_a_row_of_the_weights_of_units_is_a_unit_of_the_state():
    # A block of ModernBERT adds to its state: without the rows of a unit it adds nothing to it.
    model = modernbert()
    tower = TransformerTower(cut(model, layers=1)).eval()
    states = states_of(model)
    assert [tuple(weight.shape) for weight in tower.unit_weights(0)] == [(1, 12, 12), (1, 12, 8)]
    for weight in tower.unit_weights(0):
        weight[:, 4:8] = 0.0
    moved = (tower.layer(0, states.states, states) != states.states).any(dim=1).any(dim=0)
    assert moved.tolist() == [True] * 4 + [False] * 4 + [True] * 4


@pytest.mark.parametrize("make", [bert, modernbert])
def test_every_parameter_of_a_tower_learns(make):
    model = make()
    tower = TransformerTower(cut(model, layers=2))
    output = tower(states_of(model))
    (output * torch.randn_like(output)).sum().backward()
    silent = {name for name, p in tower.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in silent if not name.endswith("key.bias")} == set()  # attention does not see a shift of keys


def test_a_cut_encoder_has_none_of_what_towers_own():
    model = modernbert()
    whole = {name for name, _ in model.named_parameters()}
    top: TopBlocks = cut(model, layers=2)
    left = {name for name, _ in model.named_parameters()}
    assert whole - left == {name for name in whole if name.startswith(("layers.1.", "layers.2.", "final_norm."))}
    assert top.heads == 3
