"""``SeqMTLModel.from_pretrained`` as transformers' users know it: precision, attention, devices, shards."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, DebertaV2Config, DebertaV2Model

from seqmtl import SeqMTLConfig, SeqMTLModel
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.specs.sharing import SharingSpec

BLOCKS = {"kind": "sluice", "tower": {"kind": "transformer", "layers": 1}}
FEW = ("upos", "chunk", "ner")


def sharing(values: Any) -> SharingSpec:
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(values)


@pytest.fixture
def tiny(tiny_model: Callable[..., Any]):
    """A sluice network on copies of a BERT's top block, in evaluation mode."""
    made = tiny_model(*FEW, sharing=sharing(BLOCKS), scalar_mix=False)
    made.model.eval()
    return made


@pytest.fixture
def folder(tiny, tmp_path: Path) -> Path:
    tiny.model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@torch.no_grad()
def features(model, tiny) -> torch.Tensor:
    return model.features(tiny.batch.inputs, ["ner"])["ner"]


@pytest.mark.parametrize("loader", [SeqMTLModel, AutoModel])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_attention_that_is_asked_for_reaches_backbone_and_towers(tiny, folder, loader, attention):
    model = loader.from_pretrained(folder, attn_implementation=attention)
    blocks = [tower.layers["0"].attention.self for tower in model.sharing.lockstep.towers.values()]
    configs = [model.config, model.encoder.model.config, *(block.config for block in blocks)]
    assert {config._attn_implementation for config in configs} == {attention}
    torch.testing.assert_close(features(model, tiny), features(tiny.model, tiny))
    if attention == "sdpa":
        assert torch.equal(features(model, tiny), features(tiny.model, tiny))


def test_an_encoder_without_sdpa_has_what_it_can(tiny_model, tmp_path, tiny_tokenizers, tiny_encoder):
    for file in tiny_encoder.glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vocabulary = json.loads((tiny_encoder / "config.json").read_text())["vocab_size"]
    config = DebertaV2Config(vocab_size=vocabulary, max_position_embeddings=32, **sizes)
    DebertaV2Model(config).save_pretrained(tmp_path)
    model = tiny_model("upos", pretrained=str(tmp_path)).model
    assert model.config._attn_implementation == "eager"
    model.save_pretrained(tmp_path / "model")
    assert SeqMTLModel.from_pretrained(tmp_path / "model").config._attn_implementation == "eager"
    with pytest.raises(CheckpointError, match="scaled_dot_product"):
        SeqMTLModel.from_pretrained(tmp_path / "model", attn_implementation="sdpa")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"dtype": torch.bfloat16}, torch.bfloat16),
        ({"dtype": "bfloat16"}, torch.bfloat16),
        ({"dtype": torch.float16}, torch.float16),
        ({"dtype": torch.float32}, torch.float32),
        ({"dtype": "auto"}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_the_precision_that_is_asked_for_is_that_of_every_part(tiny, folder, asked, wanted):
    model = SeqMTLModel.from_pretrained(folder, **asked)
    assert {parameter.dtype for parameter in model.parameters()} == {wanted}
    torch.testing.assert_close(features(model, tiny).float(), features(tiny.model, tiny), atol=0.05, rtol=0.05)


def test_a_model_that_was_saved_in_bfloat16_comes_back_so(tiny, tmp_path):
    tiny.model.to(torch.bfloat16).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}, "auto"])
def test_devices_are_mapped(tiny, folder, device_map):
    model = SeqMTLModel.from_pretrained(folder, device_map=device_map)
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))


def test_shards_hold_the_same_bits(tiny, folder, tmp_path):
    tiny.model.save_pretrained(tmp_path, max_shard_size="10KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    shards = set(index["weight_map"].values())
    assert len(shards) > 2
    model = SeqMTLModel.from_pretrained(tmp_path)
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))
    (tmp_path / sorted(shards)[1]).unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-.*safetensors: cannot be read"):
        SeqMTLModel.from_pretrained(tmp_path)


def test_what_does_not_fit_starts_anew_only_where_that_is_asked_for(tiny, folder):
    weights = load_file(folder / "model.safetensors")
    del weights["heads.upos.scorer.outer.bias"]
    weights["heads.chunk.start"] = torch.zeros(1, 99)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="do not fit"):
        AutoModel.from_pretrained(folder)
    model, report = SeqMTLModel.from_pretrained(folder, ignore_mismatched_sizes=True, output_loading_info=True)
    assert report["missing_keys"] == {"heads.upos.scorer.outer.bias"}
    assert model.heads["chunk"].start.shape == tiny.model.heads["chunk"].start.shape
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))


def test_the_report_of_loading_is_that_of_transformers(folder):
    model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert isinstance(model, SeqMTLModel)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def test_a_configuration_may_be_given(tiny, folder):
    config = AutoConfig.from_pretrained(folder)
    for given in (config, folder, str(folder)):
        model = SeqMTLModel.from_pretrained(folder, config=given)
        assert torch.equal(features(model, tiny), features(tiny.model, tiny))
    config.tasks[0]["labels"].append("NEW")
    with pytest.raises(CheckpointError, match=r"heads\.upos.*9 by config"):
        SeqMTLModel.from_pretrained(folder, config=config)


def test_a_state_dict_may_be_given(tiny):
    state = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    model = SeqMTLModel.from_pretrained(None, config=tiny.model.config, state_dict=state)
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))


def test_a_model_knows_its_name_and_its_weights_are_safetensors_whatever_is_asked(folder):
    model = SeqMTLModel.from_pretrained(str(folder), use_safetensors=False)
    assert model.name_or_path == model.config.name_or_path == str(folder)


def test_a_subfolder_stays_inside(tiny, folder):
    model = AutoModel.from_pretrained(folder.parent, subfolder="model")
    assert torch.equal(features(model, tiny), features(tiny.model, tiny))
    with pytest.raises(CheckpointError, match="leads out of"):
        SeqMTLModel.from_pretrained(folder, subfolder="../model")


def test_some_tasks_are_named_one_by_one(folder):
    assert list(SeqMTLModel.from_pretrained(folder, tasks=["ner"]).heads) == ["ner"]
    with pytest.raises(ConfigError, match="no task 'nre'; did you mean 'ner'"):
        SeqMTLModel.from_pretrained(folder, tasks=["nre"])
    with pytest.raises(ConfigError, match="tasks: none is named; allowed: chunk, ner, upos"):
        SeqMTLModel.from_pretrained(folder, tasks=[])


def test_auto_classes_say_who_loads_some_tasks(folder):
    with pytest.raises(CheckpointError, match=r"tasks\.0 is 'ner'.*loaded by SeqMTLModel\.from_pretrained"):
        AutoModel.from_pretrained(folder, tasks=["ner"])


def test_other_weights_than_those_of_the_tasks_are_not_read(folder, monkeypatch):
    read = []
    monkeypatch.setattr("transformers.core_model_loading._materialize_copy", _noting(read))
    SeqMTLModel.from_pretrained(folder)
    everything = len(read)
    read.clear()
    model = SeqMTLModel.from_pretrained(folder, tasks=["ner"])
    assert len(read) == len(model.state_dict()) < everything


def _noting(read):
    from transformers.core_model_loading import _materialize_copy as real

    def materialize(tensor, *arguments, **options):
        read.append(tensor)
        return real(tensor, *arguments, **options)

    return materialize


def test_the_configuration_says_nothing_of_where_files_lay(tiny_model, tiny_encoder, tmp_path):
    tiny_model("upos").model.save_pretrained(tmp_path / "model")
    text = (tmp_path / "model" / "config.json").read_text()
    assert str(tiny_encoder.parent) not in text
    assert SeqMTLConfig.from_pretrained(tmp_path / "model").encoder_spec.pretrained == tiny_encoder.name
