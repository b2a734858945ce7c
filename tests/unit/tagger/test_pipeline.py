"""The tagger as a pipeline of transformers."""

import json

import pytest
from transformers import AutoModel, pipeline

from seqmtl import Tagger
from seqmtl.documents import from_json, to_json
from seqmtl.errors import CheckpointError, ConfigError, HubError
from seqmtl.modeling import SeqMTLModel
from seqmtl.tagger.pipeline import TaggingPipeline

TEXT = "Anna gave Bob the book. She slept in Paris."
NAME = "me/tagger"
FILES = ("config.json", "model.safetensors", "vocabulary.json", "recipe.yaml", "metrics.json")


@pytest.fixture
def online(hub, tiny_run):
    """The hub, with a model on it."""
    hub.put(NAME, {name: (tiny_run / name).read_bytes() for name in FILES})
    return hub


@pytest.fixture
def expected(tiny_run):
    return Tagger.from_pretrained(tiny_run)(TEXT)


def test_from_a_folder_a_text_becomes_plain_dictionaries(tiny_run, expected):
    pipe = pipeline("seqmtl-tagging", model=str(tiny_run))
    assert type(pipe) is TaggingPipeline
    assert type(pipe.model) is SeqMTLModel
    found = pipe(TEXT)
    assert found == to_json(expected)
    assert json.loads(json.dumps(found)) == found  # lists, no tuples
    assert from_json(found) == expected


def test_a_list_gives_a_list_and_other_texts_an_iterator(tiny_run, expected):
    pipe = pipeline("seqmtl-tagging", model=str(tiny_run))
    texts = [TEXT, "", "Bob slept."]
    found = pipe(texts)
    assert isinstance(found, list)
    assert found == [pipe(text) for text in texts]
    assert found[0] == to_json(expected)
    stream = pipe(text for text in texts)
    assert next(iter(stream)) == found[0]
    assert list(stream) == found[1:]
    assert pipe([]) == []
    assert pipe(texts, batch_size=2) == found


def test_a_list_is_tagged_in_batches(tiny_run):
    pipe = pipeline("seqmtl-tagging", model=str(tiny_run))
    calls = []
    pipe.model.encoder.register_forward_pre_hook(lambda _, given: calls.append(len(given[0].word_mask)))
    pipe(["Anna slept."] * 20)
    assert calls == [20]


def test_from_the_hub_by_name_and_revision_and_from_its_cache(online, monkeypatch, expected):
    assert pipeline("seqmtl-tagging", model=NAME)(TEXT) == to_json(expected)
    first = online.repositories[NAME].branches["main"]
    online.put(NAME, {"config.json": b"{}"})
    online.asked.clear()
    assert pipeline("seqmtl-tagging", model=NAME, revision=first)(TEXT) == to_json(expected)
    assert not [path for method, path in online.asked if method == "GET" and "/resolve/" in path]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert pipeline("seqmtl-tagging", model=NAME, revision=first)(TEXT) == to_json(expected)


def test_a_model_that_is_not_there_is_our_error(online):
    with pytest.raises((HubError, OSError), match="me/taggre"):
        pipeline("seqmtl-tagging", model="me/taggre")


def test_a_loaded_model_is_taken_as_it_is(tiny_run, expected):
    assert pipeline("seqmtl-tagging", model=AutoModel.from_pretrained(tiny_run))(TEXT) == to_json(expected)


def test_a_model_that_was_never_loaded_needs_an_indexer(tiny_model):
    tiny = tiny_model("upos")
    with pytest.raises(CheckpointError, match="was not loaded from a checkpoint"):
        pipeline("seqmtl-tagging", model=tiny.model)
    pipe = pipeline("seqmtl-tagging", model=tiny.model, indexer=tiny.indexer)
    assert set(pipe(TEXT)["sentences"][0]["tags"]) == {"upos"}


def test_what_a_tagger_can_be_told(tiny_run):
    pipe = pipeline("seqmtl-tagging", model=str(tiny_run), tasks=["ner"], tokens_per_batch=7, precision="bf16")
    assert set(pipe(TEXT)["sentences"][0]["tags"]) == {"ner"}
    assert pipe.tagger.tokens_per_batch == 7
    with pytest.raises(ConfigError, match="no task 'nre'"):
        pipeline("seqmtl-tagging", model=str(tiny_run), tasks=["nre"])


def test_a_pipeline_is_saved_without_code(tiny_run, tmp_path, expected):
    pipeline("seqmtl-tagging", model=str(tiny_run)).save_pretrained(tmp_path / "saved")
    assert {file.suffix for file in (tmp_path / "saved").iterdir()} == {".json", ".safetensors"}
    assert pipeline("seqmtl-tagging", model=str(tmp_path / "saved"))(TEXT) == to_json(expected)
