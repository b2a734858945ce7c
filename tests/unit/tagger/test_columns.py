"""A tagger over a column of a dataset."""

import pickle

import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from seqmtl import ConfigError, Tagger
from seqmtl.data.rows import check_row
from seqmtl.tagger.columns import Columns

TEXTS = ["Anna gave Bob the book. She slept!", "", "The dog saw Paris.", "\n"]


@pytest.fixture(scope="module")
def tagger(tiny_run):
    return Tagger.from_pretrained(tiny_run)


@pytest.fixture
def dataset():
    return Dataset.from_dict({"id": list("abcd"), "text": TEXTS})


def test_a_dataset_gets_a_column_for_each_layer(tagger, dataset):
    tagged = tagger.tag_dataset(dataset)
    assert tagged.column_names[:5] == ["id", "text", "tokens", "starts", "ends"]
    assert set(tagged.column_names[5:]) == {"upos", "chunk", "ner", "srl"}  # found predicates stand in the frames
    assert tagged["text"][:] == TEXTS
    for row, document in zip(tagged, tagger.tag(TEXTS), strict=True):
        assert row["tokens"] == [[token.text for token in s.tokens] for s in document.sentences]
        assert row["starts"] == [[token.start for token in s.tokens] for s in document.sentences]
        assert row["ends"] == [[token.end for token in s.tokens] for s in document.sentences]
        for task in ("upos", "chunk", "ner"):
            assert row[task] == [list(s.tags[task]) for s in document.sentences]
        predicates = [[frame.predicate for frame in s.frames["srl"]] for s in document.sentences]
        assert [[frame["predicate"] for frame in frames] for frames in row["srl"]] == predicates


def test_a_sentence_of_the_columns_is_a_row_of_a_corpus(tagger, dataset):
    (row, *_) = tagger.tag_dataset(dataset)
    for tokens, upos, chunks, frames in zip(row["tokens"], row["upos"], row["chunk"], row["srl"], strict=True):
        layers = {"upos": upos, "chunk_tags": chunks, "srl_frames": frames}
        check_row({"id": "1", "tokens": tokens, **layers}, corpus="tagged", split="train")
    assert any(row["srl"])


def test_rows_without_words_have_the_same_types(tagger, dataset):
    empty, full = tagger.tag_dataset(dataset.select([1, 3])), tagger.tag_dataset(dataset)
    assert empty.features == full.features
    assert empty["srl"][:] == [[], []]


def test_map_takes_batches_of_any_size_and_other_options(tagger, dataset):
    columns = Columns(tagger, "text")
    whole = dataset.map(columns, batched=True, features=None)
    small = dataset.map(columns, batched=True, batch_size=1, remove_columns=["text", "id"], features=columns.features)
    assert small["srl"][:] == whole["srl"][:]
    assert small["upos"][:] == whole["upos"][:]


def test_bare_predicates_are_frames_without_arguments(tiny_run, dataset):
    (row, *_) = Tagger.from_pretrained(tiny_run, tasks=["predicate"]).tag_dataset(dataset)
    found = [frame for sentence in row["predicate"] for frame in sentence]
    assert found
    assert all(set(frame["tags"]) == {"O", "B-V"} for frame in found)


def test_its_hash_is_that_of_the_model_and_not_of_what_it_remembers(tiny_run, tiny_model):
    tiny = tiny_model("upos", "chunk")
    columns = Columns(Tagger(tiny.model, tiny.indexer), "text")
    before = Hasher.hash(columns)
    columns({"text": TEXTS})
    assert Hasher.hash(columns) == before
    assert Hasher.hash(Columns(columns.tagger, "other")) != before
    with torch.no_grad():
        next(tiny.model.heads["upos"].parameters()).add_(1.0)
    assert Hasher.hash(columns) != before
    first, again = (Columns(Tagger.from_pretrained(tiny_run), "text") for _ in range(2))
    assert Hasher.hash(first) == Hasher.hash(again)


def test_a_second_call_is_answered_from_the_cache(tiny_run, tmp_path, dataset):
    dataset.save_to_disk(tmp_path / "texts")
    tagged = []
    for _ in range(2):
        tagger, calls = Tagger.from_pretrained(tiny_run), []
        tagger.model.encoder.register_forward_pre_hook(lambda *_: calls.append(1))  # noqa: B023 - used in this turn
        tagged.append(tagger.tag_dataset(Dataset.load_from_disk(tmp_path / "texts"))["srl"][:])
    assert calls == []
    assert tagged[0] == tagged[1]


def test_other_processes_can_be_given_one(tagger):
    columns = Columns(tagger, "text")
    expected = columns({"text": TEXTS})
    assert pickle.loads(pickle.dumps(columns))({"text": TEXTS}) == expected


def test_a_transformer_that_has_run_can_be_given_too(tiny_model):
    tiny = tiny_model()
    columns = Columns(Tagger(tiny.model, tiny.indexer, precision="bf16", tokens_per_batch=50), "text")
    expected = columns({"text": TEXTS})
    other = pickle.loads(pickle.dumps(columns))
    assert other({"text": TEXTS}) == expected
    assert other.tagger.tokens_per_batch == 50


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"txt": TEXTS}, "no column 'text'; it has txt"),
        ({"text": TEXTS, "ner": TEXTS}, "has a column 'ner' already; rename it"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_anything_is_tagged(tagger, columns, message):
    with pytest.raises(ConfigError, match=message):
        tagger.tag_dataset(Dataset.from_dict(columns))
