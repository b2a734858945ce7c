"""config.json: all that inference must know, and nothing that does not come back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, BertConfig

from seqmtl.configuration import SeqMTLConfig, inventory_sizes
from seqmtl.data.tasks import Task
from seqmtl.encoders.build import InventorySizes
from seqmtl.errors import CheckpointError
from seqmtl.labels import LabelInventory
from seqmtl.specs.encoders import BiLSTMEncoderSpec, EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import (
    BiLSTMTowerSpec,
    CrossStitchSpec,
    HardSharingSpec,
    IndependentSpec,
    SharingSpec,
    SluiceSpec,
)
from seqmtl.specs.tasks import CRFHeadSpec, SoftmaxHeadSpec, SRLHeadSpec, TaskSpec

TASKS = [  # neither alphabetical, nor are their labels: order is kept
    Task("upos", TaskSpec(layer="upos", head=SoftmaxHeadSpec(kind="softmax")), LabelInventory(("X", "A", "É"))),
    Task("ner", TaskSpec(layer="ner_tags", scheme="bioes", head=CRFHeadSpec(kind="crf")), LabelInventory(("O", "S-A"))),
    Task("srl", TaskSpec(layer="srl_frames", head=SRLHeadSpec(kind="srl")), LabelInventory(("O", "B-V"))),
]
DECODERS = {"ner": DecodersSpec(count=3, own_dropout=True, best=1)}
TOWER = BiLSTMTowerSpec(kind="bilstm", width=6)
BERT = BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, hidden_act="relu")


def config_of(*, encoder: EncoderSpec, sharing: SharingSpec, backbone: BertConfig | None = None) -> SeqMTLConfig:
    sizes = InventorySizes(words=7, characters=5)
    return SeqMTLConfig.of(
        encoder=encoder, backbone=backbone, sharing=sharing, tasks=TASKS, decoders=DECODERS, sizes=sizes
    )


CONFIGS: dict[str, SeqMTLConfig] = {
    "bilstm": config_of(
        encoder=BiLSTMEncoderSpec(kind="bilstm", word_dim=9), sharing=IndependentSpec(kind="independent", tower=TOWER)
    ),
    "transformer": config_of(
        encoder=TransformerEncoderSpec(kind="transformer", pretrained="x/y", pooling="mean", trainable_layers=2),
        sharing=HardSharingSpec(kind="hard", tower=TOWER),
        backbone=BERT,
    ),
}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("loader", [SeqMTLConfig, AutoConfig])
def test_a_configuration_comes_back_from_its_file(kind: str, loader, tmp_path: Path):
    config = CONFIGS[kind]
    config.save_pretrained(tmp_path)
    loaded = loader.from_pretrained(tmp_path)
    assert type(loaded) is SeqMTLConfig
    assert loaded.encoder_spec == config.encoder_spec
    assert loaded.sharing_spec == config.sharing_spec
    assert loaded.task_list == TASKS
    assert loaded.decoder_specs == DECODERS
    assert loaded.sizes == InventorySizes(words=7, characters=5)
    assert loaded.to_dict().keys() == config.to_dict().keys()
    content = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert content["model_type"] == "seqmtl"
    assert content["format_version"] == 2
    assert [task["labels"] for task in content["tasks"]] == [["X", "A", "É"], ["O", "S-A"], ["O", "B-V"]]


@pytest.mark.parametrize(
    "sharing",
    [
        CrossStitchSpec(kind="cross_stitch", tower=TOWER, alpha_from="/home/x.json"),
        SluiceSpec(kind="sluice", tower=TOWER, alpha_from="/home/x.json"),
    ],
)
def test_the_file_from_which_alpha_started_is_not_kept(sharing: CrossStitchSpec | SluiceSpec):
    config = config_of(encoder=BiLSTMEncoderSpec(kind="bilstm"), sharing=sharing)
    assert "/home" not in config.to_json_string()
    assert config.sharing_spec == sharing.model_copy(update={"alpha_from": None})


def test_the_backbones_own_configuration_comes_back(tmp_path: Path):
    CONFIGS["transformer"].save_pretrained(tmp_path)
    backbone = SeqMTLConfig.from_pretrained(tmp_path).backbone_config
    assert isinstance(backbone, BertConfig)
    assert (backbone.hidden_size, backbone.num_hidden_layers, backbone.hidden_act) == (16, 3, "relu")


def test_an_encoder_without_a_backbone_has_none():
    assert CONFIGS["bilstm"].backbone_config is None


@pytest.mark.parametrize("backbone", [None, {}, {"model_type": "from-the-future"}])
def test_a_backbone_of_an_unknown_family_is_an_error_that_says_so(backbone: dict[str, Any] | None):
    config = SeqMTLConfig(encoder={"kind": "transformer", "pretrained": "x/y"}, backbone=backbone)
    with pytest.raises(CheckpointError, match="'backbone' does not describe a known encoder"):
        _ = config.backbone_config


def test_transformers_can_make_one_without_arguments():
    config = SeqMTLConfig()  # PreTrainedConfig.to_diff_dict does
    assert config.task_list == []
    assert config.sharing_spec == HardSharingSpec(kind="hard")


def test_two_configurations_share_no_mutable_default():
    first = SeqMTLConfig()
    first.tasks.append({})
    first.sharing["kind"] = "independent"
    first.decoders["ner"] = {}
    assert SeqMTLConfig().tasks == []
    assert SeqMTLConfig().sharing == {"kind": "hard"}
    assert SeqMTLConfig().decoders == {}


def test_a_best_decoder_that_is_none_of_them_is_an_error():
    config = SeqMTLConfig(decoders={"ner": {"count": 2, "best": 2}})
    with pytest.raises(CheckpointError, match=r"decoders.ner: .*best is 2, but the 2 decoders"):
        _ = config.decoder_specs


def test_inventory_sizes_count_what_the_indexer_has(tiny_model: Callable[..., Any]):
    tiny = tiny_model("upos")
    assert inventory_sizes(tiny.indexer) == InventorySizes(words=0, characters=len(tiny.indexer.characters.vocabulary))
    assert inventory_sizes(tiny_model("upos", characters=None).indexer) == InventorySizes()
