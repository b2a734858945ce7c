"""Two checkpoints that share an encoder as one."""

import json

import pytest
import torch
from pydantic import TypeAdapter

from seqmtl import Tagger, merge_checkpoints
from seqmtl.checkpoints import load_checkpoint, save_checkpoint
from seqmtl.errors import ConfigError
from seqmtl.merging import merge_models
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import SharingSpec

TOWER = {"kind": "bilstm", "layers": 1, "width": 8}


def sharing(values) -> SharingSpec:
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(values)


@pytest.fixture
def pair(tiny_model):
    """Two models on one encoder, with other tasks and other heads."""

    def build(scheme=None):
        first = tiny_model("upos", "chunk", sharing=scheme)
        second = tiny_model("ner", "predicate", "srl", sharing=scheme, seed=2)
        second.model.encoder.load_state_dict(first.model.encoder.state_dict())
        return first, second

    return build


@pytest.mark.parametrize("scheme", [None, {"kind": "independent", "tower": TOWER}], ids=["hard", "independent"])
def test_each_task_says_what_it_said(pair, scheme):
    first, second = pair(scheme and sharing(scheme))
    merged = merge_models(first.model.eval(), second.model.eval())
    assert list(merged.tasks) == ["upos", "chunk", "ner", "predicate", "srl"]
    for part in (first, second):
        with torch.no_grad():
            features = merged.features(part.batch.inputs, list(part.model.tasks))
            expected = part.model.features(part.batch.inputs, list(part.model.tasks))
        for task, values in expected.items():
            assert torch.equal(features[task], values)
            ours, theirs = merged.heads[task].state_dict(), part.model.heads[task].state_dict()
            assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_task_keeps_its_decoders(tiny_model):
    first = tiny_model("upos", decoders=DecodersSpec(count=3, best=2)).model.eval()
    second = tiny_model("ner", seed=2, decoders=DecodersSpec(count=2, best=1)).model.eval()
    second.encoder.load_state_dict(first.encoder.state_dict())
    merged = merge_models(first, second)
    assert merged.config.decoder_specs == first.config.decoder_specs | second.config.decoder_specs
    assert (merged.best_decoder("upos"), merged.best_decoder("ner")) == (2, 1)
    assert torch.equal(merged.head("ner").scorer.outer.weight, second.head("ner").scorer.outer.weight)


def test_checkpoints_are_merged_saved_and_tag(pair, tmp_path):
    for name, part in zip(("a", "b"), pair(), strict=True):
        save_checkpoint(tmp_path / name, part.model, part.indexer)
    model, indexer = merge_checkpoints(tmp_path / "a", tmp_path / "b")
    Tagger(model, indexer).save_pretrained(tmp_path / "both")
    both = Tagger.from_pretrained(tmp_path / "both")
    text = "Anna gave Bob the book."
    whole = both(text).sentences[0]
    for name in ("a", "b"):
        part = Tagger.from_pretrained(tmp_path / name)(text).sentences[0]
        assert {task: whole.tags[task] for task in part.tags} == part.tags
        assert {task: whole.frames[task] for task in part.frames} == part.frames


def test_another_encoder_is_no_base(tiny_model):
    first, second = tiny_model("upos").model, tiny_model("ner").model
    second.encoder.scalar_mix.gamma.data += 1
    with pytest.raises(
        ConfigError, match=r"merge: the models differ in encoder\.scalar_mix\.gamma, in 1 of the tensors"
    ):
        merge_models(first, second)


def test_a_shared_tower_that_differs_is_no_base(pair):
    first, second = pair(sharing({"kind": "hard", "tower": TOWER}))
    with pytest.raises(ConfigError, match=r"merge: the models differ in sharing\.tower\.layers.*start_from"):
        merge_models(first.model, second.model)


def test_schemes_that_mix_their_tasks_cannot_be_merged(pair):
    first, second = pair(sharing({"kind": "sluice", "tower": TOWER}))
    with pytest.raises(ConfigError, match=r"merge: sharing\.lockstep\.mixers\.0\.weight depends on which tasks"):
        merge_models(first.model, second.model)


def test_other_settings_are_no_base(tiny_model):
    first = tiny_model("upos").model
    with pytest.raises(ConfigError, match=r"by their config\.json"):
        merge_models(first, tiny_model("ner", pooling="mean").model)
    with pytest.raises(ConfigError, match=r"by their config\.json"):
        merge_models(first, tiny_model("ner", sharing=sharing({"kind": "independent", "tower": TOWER})).model)
    merge_models(first, tiny_model("ner", trainable_layers=0, dropout=0.5).model)


def test_a_task_in_both_is_named(tiny_model):
    with pytest.raises(ConfigError, match="merge: both models have chunk; use remove_task"):
        merge_models(tiny_model("upos", "chunk").model, tiny_model("chunk", "ner").model)


def test_other_words_are_no_base(pair, tmp_path):
    for name, part in zip(("a", "b"), pair(), strict=True):
        save_checkpoint(tmp_path / name, part.model, part.indexer)
    path = tmp_path / "b" / "vocabulary.json"
    content = json.loads(path.read_text())
    content["characters"][:2] = content["characters"][1::-1]
    path.write_text(json.dumps(content))
    load_checkpoint(tmp_path / "b")
    with pytest.raises(ConfigError, match="read with other characters"):
        merge_checkpoints(tmp_path / "a", tmp_path / "b")
