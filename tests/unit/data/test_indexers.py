"""Specs to indexers: the encoder's real limit, vocabularies of the training sentences, and the way back from disk."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, PreTrainedConfig

from seqmtl.batch import UNKNOWN
from seqmtl.data.indexers import DEFAULT_LIMIT, load_indexer, new_indexer, piece_limit
from seqmtl.errors import CheckpointError, EncoderError
from seqmtl.specs.encoders import BiLSTMEncoderSpec, CharacterCNNSpec, TransformerEncoderSpec

SENTENCES = [["the", "dog", "barks"], ["The", "dog"], []]


def transformer(pretrained: str = "x", **more: Any) -> TransformerEncoderSpec:
    return TransformerEncoderSpec.parse({"kind": "transformer", "pretrained": pretrained, **more}, source="test")


def bilstm(**more: Any) -> BiLSTMEncoderSpec:
    return BiLSTMEncoderSpec.parse({"kind": "bilstm", "min_count": 1, **more}, source="test")


def config(family: str, **more: Any) -> PreTrainedConfig:
    return AutoConfig.for_model(family, **more)


@pytest.mark.parametrize(
    ("family", "table", "limit"),
    [
        ("bert", 512, 512),
        ("distilbert", 512, 512),
        ("electra", 512, 512),
        ("deberta-v2", 512, 512),
        ("modernbert", 8192, 8192),
        ("roberta", 514, 512),
        ("xlm-roberta", 514, 512),
        ("camembert", 514, 512),
        ("mpnet", 514, 512),
        ("longformer", 4098, 4096),
    ],
)
def test_the_limit_is_what_the_family_can_read(family: str, table: int, limit: int):
    assert piece_limit(transformer(), config(family, max_position_embeddings=table, pad_token_id=1)) == limit


def test_a_family_without_an_end_has_a_default():
    assert piece_limit(transformer(), config("xlnet")) == DEFAULT_LIMIT


def test_max_pieces_makes_windows_shorter():
    assert piece_limit(transformer(max_pieces=128), config("bert")) == 128


def test_max_pieces_beyond_the_encoder_is_an_error():
    with pytest.raises(EncoderError, match=r"encoder.max_pieces: got 513, but 'x' reads at most 512"):
        piece_limit(transformer(max_pieces=513), config("roberta", max_position_embeddings=514))


def test_a_transformer_reads_pieces_alone(tiny_tokenizers: Path):
    spec = transformer(str(tiny_tokenizers / "bpe"), overlap=3)
    indexer = new_indexer(spec, backbone=config("roberta", max_position_embeddings=34), sentences=SENTENCES)
    assert indexer.words is None
    assert indexer.characters is None
    assert indexer.pieces is not None
    assert indexer.pieces.overlap == 3
    assert indexer.pieces.tokenizer.capacity == 30


def test_characters_of_the_training_sentences_that_occur_twice_are_known(tiny_tokenizers: Path):
    spec = transformer(str(tiny_tokenizers / "bpe"), characters=CharacterCNNSpec(max_length=9))
    indexer = new_indexer(spec, backbone=config("bert"), sentences=SENTENCES)
    assert indexer.characters is not None
    assert indexer.characters.vocabulary.items == ("d", "e", "g", "h", "o")
    assert indexer.characters.max_length == 9


def test_a_bilstm_reads_words_and_characters():
    indexer = new_indexer(bilstm(min_count=2), backbone=None, sentences=SENTENCES)
    assert indexer.pieces is None
    assert indexer.characters is not None
    assert indexer.words is not None
    assert indexer.words.vocabulary.items == ("dog",)
    assert indexer.words(SENTENCES).tolist() == [[UNKNOWN, 2, UNKNOWN], [UNKNOWN, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize("characters", [None, {"kind": "cnn", "max_length": 7}])
def test_an_indexer_reads_the_same_after_it_was_saved(tiny_tokenizers: Path, tmp_path: Path, characters: Any):
    backbone = config("bert", max_position_embeddings=12)
    for number, spec in enumerate(
        [transformer(str(tiny_tokenizers / "unigram"), characters=characters), bilstm(characters=characters)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        new = new_indexer(spec, backbone=backbone, sentences=SENTENCES)
        new.save_pretrained(folder)
        loaded = load_indexer(spec, backbone=backbone, folder=folder)
        text = [["The", "unbelievable", "dog", "😀", "zzzzzzzzzzzz"] * 3, ["dog"], []]
        before, after = new(text), loaded(text)
        assert (before.characters is None) == (characters is None)
        for part in ("pieces", "characters"):
            old, again = getattr(before, part), getattr(after, part)
            assert (old is None) == (again is None)
            if old is not None:
                assert all((value == getattr(again, key)).all() for key, value in vars(old).items())
        if before.word_ids is not None:
            assert after.word_ids is not None
            assert (before.word_ids == after.word_ids).all()


def test_a_checkpoint_without_its_vocabulary_is_an_error(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"vocabulary.json: no such file"):
        load_indexer(bilstm(), backbone=None, folder=tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"words": ["a"]}', '{"characters": ["a"]}', "[]"])
def test_a_vocabulary_file_that_lacks_a_part_is_an_error(tmp_path: Path, content: str):
    (tmp_path / "vocabulary.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"vocabulary.json lacks the words or characters"):
        load_indexer(bilstm(), backbone=None, folder=tmp_path)


def test_a_checkpoint_without_its_tokenizer_is_an_error(tmp_path: Path):
    with pytest.raises(EncoderError, match=str(tmp_path)):
        load_indexer(transformer(), backbone=config("bert"), folder=tmp_path)
