"""Adapters in every family: where they stand, what trains, and what becomes of them."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from seqmtl.encoders import lora
from seqmtl.encoders.backbone import freeze_below
from seqmtl.encoders.cut import cut
from seqmtl.encoders.lora import add_adapters, check_peft, linear_maps, merged
from seqmtl.errors import ConfigError
from seqmtl.layers.on_cpu import Linear, faster_on_cpu

ATTENTION = ("attention.self.key", "attention.self.query", "attention.self.value")


@pytest.fixture
def adapted(family):
    """Adapters in an encoder, which are no longer where they started."""
    model = family.backbone()
    faster_on_cpu(model)
    add_adapters(model, rank=2, alpha=6, dropout=0.5, modules=None)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.2)
    return model


def states(model):
    ids = torch.arange(5, 15)[None]
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


def test_an_encoder_starts_as_without_adapters(family):
    model = family.backbone()
    before = states(model)
    add_adapters(model, rank=2, alpha=6, dropout=0.0, modules=None)
    assert torch.equal(states(model), before)


def test_only_adapters_train_and_all_of_them_do(adapted):
    states(adapted.train()).square().sum().backward()
    trained = {name for name, p in adapted.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained == {name for name, _ in adapted.named_parameters() if "lora_" in name}
    maps = [m for m in adapted.modules() if isinstance(m, nn.Linear)]
    assert {type(module) for module in maps} == {Linear}  # the faster form, adapters too


def test_merged_weights_are_those_of_the_papers_equation(adapted, family):
    """W + alpha / rank * B A (Hu et al. 2022, section 4.1), under the names of an encoder without adapters."""
    whole, found = family.backbone(), merged(adapted).state_dict()
    parts = adapted.state_dict()
    assert found.keys() == whole.state_dict().keys()
    assert len(linear_maps(whole, None)) > 4
    for name in linear_maps(whole, None):
        update = parts[f"{name}.lora_B.default.weight"] @ parts[f"{name}.lora_A.default.weight"]
        expected = parts[f"{name}.base_layer.weight"] + 3.0 * update
        torch.testing.assert_close(found[f"{name}.weight"], expected)


def test_a_merged_encoder_says_the_same_and_the_other_is_as_it_was(adapted):
    parts = {name: value.clone() for name, value in adapted.state_dict().items()}
    whole = merged(adapted)
    assert not any("lora" in name for name, _ in whole.named_modules())
    torch.testing.assert_close(states(whole), states(adapted), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, parts[name]) for name, value in adapted.state_dict().items())


def test_adapters_stand_beside_the_maps_that_are_named(bert):
    assert sorted(linear_maps(bert.backbone(), ["query", "self.key", "attention.self.value"])) == [
        f"encoder.layer.{number}.{name}" for number in range(2) for name in ATTENTION
    ]
    assert len(linear_maps(bert.backbone(), ["dense"])) == 6


def test_a_name_that_ends_no_map_is_an_error(bert):
    with pytest.raises(ConfigError, match=r"encoder\.lora\.modules: no linear map of a block is called 'uery'.*query"):
        linear_maps(bert.backbone(), ["key", "uery"])
    with pytest.raises(ConfigError, match=r"called 'x'; allowed: attention\.output\.dense, .*output\.dense, or how"):
        linear_maps(bert.backbone(), ["x"])


def test_blocks_that_are_frozen_or_elsewhere_get_no_adapters(bert):
    model = bert.backbone()
    freeze_below(model, trainable_layers=1)
    assert {name[:15] for name in linear_maps(model, None)} == {"encoder.layer.1"}
    cut(model, layers=1)
    with pytest.raises(ConfigError, match=r"encoder\.lora: .* raise encoder\.trainable_layers, or give towers fewer"):
        linear_maps(model, None)


def test_without_peft_the_command_that_installs_it_is_named(monkeypatch):
    check_peft()
    monkeypatch.setattr(lora, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    with pytest.raises(ConfigError, match=r"encoder\.lora: peft, .*pip install 'seqmtl\[lora\]'"):
        check_peft()
