"""A tagger that runs its model in other ways."""

import pickle

import pytest
import torch

from seqmtl import ConfigError, Tagger
from seqmtl.layers import int8
from seqmtl.layers.int8 import Int8Linear
from seqmtl.specs.sharing import SluiceSpec

TEXTS = ["Anna gave Bob the book. She was tired!", "", "The dog that he saw slept in Paris."] * 4


def agreement(one, other):
    """The share of words that both give the same tags."""
    tags = [
        [tag for d in docs for s in d.sentences for layer in s.tags.values() for tag in layer] for docs in (one, other)
    ]
    return sum(a == b for a, b in zip(*tags, strict=True)) / len(tags[0])


@pytest.mark.skipif(not int8.is_there, reason="torch was built without oneDNN")
def test_eight_bits_say_nearly_the_same_and_leave_the_model_as_it_is(tiny_model, tmp_path):
    tiny = tiny_model()
    plain = Tagger(tiny.model, tiny.indexer)
    expected = plain.tag(TEXTS)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    ours = Tagger(tiny.model, tiny.indexer, precision="int8")
    maps = [m for m in ours._annotator.model.encoder.modules() if isinstance(m, Int8Linear)]
    assert len(maps) == 12  # six in each of two blocks
    assert ours._annotator.model.heads is tiny.model.heads
    found = ours.tag(TEXTS)
    assert agreement(found, expected) > 0.9
    assert plain.tag(TEXTS) == expected
    after = tiny.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    ours.save_pretrained(tmp_path / "saved")
    assert Tagger.from_pretrained(tmp_path / "saved").tag(TEXTS) == expected
    assert pickle.loads(pickle.dumps(ours)).tag(TEXTS) == found


@pytest.mark.skipif(not int8.is_there, reason="torch was built without oneDNN")
def test_eight_bits_reach_the_towers(tiny_model):
    tower = {"kind": "transformer", "layers": 1}
    sluice = SluiceSpec.parse({"kind": "sluice", "tower": tower}, source="test")
    tiny = tiny_model("upos", "ner", sharing=sluice, scalar_mix=False)
    ours = Tagger(tiny.model, tiny.indexer, precision="int8")
    assert any(isinstance(module, Int8Linear) for module in ours._annotator.model.sharing.modules())
    assert agreement(ours.tag(TEXTS), Tagger(tiny.model, tiny.indexer).tag(TEXTS)) > 0.8


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"compiled": True}])
def test_a_bilstm_has_nothing_of_the_kind(tiny_run, options):
    with pytest.raises(ConfigError, match="is for encoders of kind 'transformer'"):
        Tagger.from_pretrained(tiny_run, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own use
def test_a_compiled_transformer_says_the_same(tiny_model):
    tiny = tiny_model()
    expected = Tagger(tiny.model, tiny.indexer).tag(TEXTS)
    compiled = Tagger(tiny.model, tiny.indexer, compiled=True)
    assert tiny.model.encoder.model._compiled_call_impl is not None
    assert compiled.tag(TEXTS) == expected
    assert compiled.tag(TEXTS[:2]) == expected[:2]  # batches of another shape
    assert set(tiny.model.state_dict()) == set(tiny_model().model.state_dict())
