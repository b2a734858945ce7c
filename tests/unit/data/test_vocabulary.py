"""Vocabularies: counted, numbered, saved and read again."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.batch import UNKNOWN
from seqmtl.data.vocabulary import (
    FILE_NAME,
    PAD,
    Vocabulary,
    count_vocabulary,
    load_vocabularies,
    save_vocabularies,
)
from seqmtl.errors import CheckpointError


def test_ids_are_dense_behind_padding_and_the_unknown_item():
    vocabulary = Vocabulary(("the", "dog", "barks"))
    assert [vocabulary.id(item) for item in vocabulary.items] == [2, 3, 4]
    assert vocabulary.id("cat") == UNKNOWN
    assert PAD not in vocabulary.ids.values()
    assert len(vocabulary) == 5
    assert len(Vocabulary(())) == 2


def test_frequent_items_come_first_and_ties_by_name():
    sentences = [["b", "a", "c"], ["c", "b", "d"], ["c"]]
    assert count_vocabulary(sentences, min_count=1).items == ("c", "b", "a", "d")
    assert count_vocabulary(sentences, min_count=2).items == ("c", "b")


def test_words_are_sequences_of_characters():
    assert count_vocabulary(["abba", "ba"], min_count=3).items == ("a", "b")


@given(st.lists(st.text(alphabet=st.characters(), max_size=4), unique=True))
def test_any_inventory_survives_the_file(tmp_path_factory: pytest.TempPathFactory, items: list[str]):
    # `characters()` includes halves of surrogate pairs, which JSON corpora may hold.
    folder = tmp_path_factory.mktemp("vocabulary")
    words, characters = Vocabulary(tuple(items)), Vocabulary(tuple(reversed(items)))
    save_vocabularies(folder, words=words, characters=characters)
    assert load_vocabularies(folder) == (words, characters)


def test_what_there_is_not_is_none(tmp_path: Path):
    characters = Vocabulary(("a",))
    save_vocabularies(tmp_path, words=None, characters=characters)
    assert load_vocabularies(tmp_path) == (None, characters)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=rf"{FILE_NAME}: no such file"):
        load_vocabularies(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"5", json.dumps({"words": 5}).encode(), b"\xff\xfe"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{FILE_NAME}: not a vocabulary file"):
        load_vocabularies(tmp_path)
