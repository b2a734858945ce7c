"""One task less than a model was trained with; tests/contract has it for every scheme."""

import pytest
import torch
from pydantic import TypeAdapter

from seqmtl.data.tasks import build_task
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import SharingSpec
from seqmtl.specs.tasks import TaskSpec

FEW = ("upos", "chunk", "ner")
TOWER = {"kind": "bilstm", "layers": 2, "width": 8}


def sharing(values) -> SharingSpec:
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(values)


def names(model, part: str) -> set[str]:
    return {name for name in model.state_dict() if part in name}


def test_what_only_it_needed_goes_with_it(tiny_model):
    model = tiny_model(*FEW, sharing=sharing({"kind": "independent", "tower": TOWER})).model
    smaller = model.remove_task("chunk")
    assert list(smaller.tasks) == ["upos", "ner"]
    assert list(model.tasks) == list(FEW)
    assert not names(smaller, ".chunk.")
    gone = set(model.state_dict()) - set(smaller.state_dict())
    assert gone == names(model, "heads.chunk.") | names(model, "towers.chunk.")
    assert smaller.config.sharing_task_names == FEW


def test_a_tower_that_others_read_stays_until_it_is_out_of_reach(tiny_model):
    model = tiny_model(*FEW, sharing=sharing({"kind": "sluice", "tower": TOWER, "subspaces": 1})).model
    smaller = model.remove_task("chunk")
    assert names(smaller, "towers.chunk.") == names(model, "towers.chunk.")
    assert not names(smaller, "betas.chunk")
    assert smaller.sharing.coupling().tables["beta"].rows == ["upos", "ner"]
    for mixer in smaller.sharing.lockstep.mixers:
        mixer.weight.data = 0.9 * torch.eye(3)
    pruning = smaller.prune_sharing(0.5)
    assert pruning.layers == 2
    assert not names(smaller, "towers.chunk.")


def test_the_decoders_of_the_others_stay_and_are_loaded_alone(tiny_model, tmp_path):
    tiny = tiny_model("upos", "ner", decoders=DecodersSpec(count=3, best=2))
    model = tiny.model.eval()
    model.save_pretrained(tmp_path)
    loaded = SeqMTLModel.from_pretrained(tmp_path, tasks=["ner"])
    for smaller in (model.remove_task("upos"), loaded):
        assert smaller.config.decoder_specs == {"ner": DecodersSpec(count=3, best=2)}
        with torch.no_grad():
            features = smaller.features(tiny.batch.inputs, ["ner"])["ner"]
        words = tiny.batch.inputs.word_mask
        assert torch.equal(smaller.decode_words("ner", features, words), model.decode_words("ner", features, words))


def test_what_was_pruned_and_removed_comes_back_from_its_file(tiny_model, tmp_path):
    tiny = tiny_model(*FEW, sharing=sharing({"kind": "sluice", "tower": TOWER, "subspaces": 1}))
    for mixer in tiny.model.sharing.lockstep.mixers:
        mixer.weight.data.fill_diagonal_(0.9)[0, 1] = 0.7  # upos reads chunk
    model = tiny.model.eval()
    model.prune_sharing(0.5)
    smaller = model.remove_task("chunk").remove_task("ner")
    smaller.save_pretrained(tmp_path)
    loaded = SeqMTLModel.from_pretrained(tmp_path)
    assert names(loaded, "towers.chunk.layers.0")
    assert not names(loaded, "towers.ner")
    with torch.no_grad():
        ours, theirs = (m.features(tiny.batch.inputs, ["upos"])["upos"] for m in (model, loaded))
    assert torch.equal(ours, theirs)


def test_a_task_that_another_needs_stays(tiny_model):
    model = tiny_model("upos", "predicate", "srl").model
    with pytest.raises(ConfigError, match="remove_task: srl cannot do without 'predicate'; remove that first"):
        model.remove_task("predicate")
    assert list(model.remove_task("srl").remove_task("predicate").tasks) == ["upos"]


def test_the_only_task_and_no_task(tiny_model):
    model = tiny_model("upos").model
    with pytest.raises(ConfigError, match="remove_task: 'upos' is the only task"):
        model.remove_task("upos")
    with pytest.raises(ConfigError, match="remove_task: the model has no task 'upso'; did you mean 'upos'"):
        model.remove_task("upso")


@pytest.mark.parametrize("kind", ["hard", "independent"])
def test_a_task_may_come_back_under_its_name(tiny_model, kind):
    scheme = {"kind": kind, "tower": TOWER}
    tiny = tiny_model(*FEW, sharing=sharing(scheme))
    smaller = tiny.model.remove_task("ner")
    spec = TaskSpec.parse({"layer": "ner_tags", "head": {"kind": "softmax"}}, source="test")
    again = smaller.add_task(build_task("ner", spec, tiny.rows))
    assert set(again.tasks) == set(FEW)
    assert torch.equal(again.heads["upos"].scorer.outer.weight, tiny.model.heads["upos"].scorer.outer.weight)
    assert not torch.equal(again.heads["ner"].scorer.outer.weight[0, 0], torch.zeros(()))


def test_what_was_frozen_and_the_mode_stay(tiny_model):
    model = tiny_model(*FEW, trainable_layers=1).model
    for mode in (True, False):
        smaller = model.train(mode).remove_task("ner")
        assert smaller.training is mode
        frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
        assert frozen
        assert frozen == {name for name, p in smaller.named_parameters() if not p.requires_grad}
