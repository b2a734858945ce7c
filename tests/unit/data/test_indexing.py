"""Index tensors: read back, they give every sentence whole."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.batch import UNKNOWN, CharacterInputs, PieceInputs
from seqmtl.data.indexing import CharacterIndexer, Indexer, PieceIndexer, WordIndexer
from seqmtl.data.pieces import PieceTokenizer, load_tokenizer
from seqmtl.data.vocabulary import Vocabulary, load_vocabularies

TOKENIZERS = ["wordpiece", "bpe", "unigram", "minilm"]
ODD = ["\u200b", "😀", "שלום", "مرحبا", "x" * 10_000, "unbelievable", "McMurdo"]
PLAIN = "The unbelievable teacher didn't sell x-rays in McMurdo , did she ?".split()
SENTENCES = st.lists(
    st.lists(st.sampled_from([*ODD, *PLAIN]) | st.text("abc", min_size=1, max_size=5), max_size=14), max_size=4
)


@pytest.fixture(scope="module")
def piece_tokenizers(tiny_tokenizers: Path, minilm_path: Path) -> dict[str, PieceTokenizer]:
    folders = {name: tiny_tokenizers / name for name in TOKENIZERS[:3]} | {"minilm": minilm_path}
    return {name: PieceTokenizer(load_tokenizer(str(folder)), limit=16) for name, folder in folders.items()}


def check(inputs: PieceInputs, sentences: list[list[str]], tokenizer: PieceTokenizer) -> None:
    """Whatever ``PieceInputs`` promises, piece by piece in plain Python."""
    n_words = max(map(len, sentences), default=0)
    n_windows, width = inputs.ids.shape
    assert width <= len(tokenizer.prefix) + tokenizer.capacity + len(tokenizer.suffix)
    owned_by: dict[int, list[int]] = {}  # word -> owned places, in order
    for w in range(n_windows):
        length = int(inputs.mask[w].sum())
        assert inputs.mask[w].tolist() == [True] * length + [False] * (width - length)
        assert inputs.ids[w, length:].tolist() == [tokenizer.pad_id] * (width - length)
        start, stop = len(tokenizer.prefix), length - len(tokenizer.suffix)
        assert inputs.ids[w, :start].tolist() == tokenizer.prefix
        assert inputs.ids[w, stop:length].tolist() == tokenizer.suffix
        words = inputs.word[w].tolist()
        inside = words[start:stop]
        assert words[:start] + words[stop:] == [-1] * (width - len(inside))
        assert inside == sorted(inside)
        assert len({word // n_words for word in inside}) <= 1, "a window holds one sentence"
        assert not inputs.owned[w, [p for p in range(width) if words[p] < 0]].any()
        # Every word of a window is there with all its pieces, owned or not.
        spelled = [sentences[word // n_words][word % n_words] for word in dict.fromkeys(inside)]
        assert inputs.ids[w, start:stop].tolist() == [i for ids in tokenizer.pieces(spelled) for i in ids]
        for place in range(start, stop):
            if inputs.owned[w, place]:
                owned_by.setdefault(words[place], []).append(w * width + place)
    for b, sentence in enumerate(sentences):
        for t, ids in enumerate(tokenizer.pieces(sentence)):
            places = owned_by.pop(b * n_words + t)
            assert places == list(range(places[0], places[0] + len(ids))), "owned once, by neighbouring pieces"
            assert (inputs.first[b, t], inputs.last[b, t]) == (places[0], places[-1])
            assert inputs.ids.flatten()[places].tolist() == list(ids)
        assert not inputs.first[b, len(sentence) :].any()
        assert not inputs.last[b, len(sentence) :].any()
    assert not owned_by


@pytest.mark.parametrize("name", TOKENIZERS)
@given(sentences=SENTENCES, overlap=st.sampled_from([0, 3, 64]))
def test_every_word_is_owned_once_with_all_its_pieces(piece_tokenizers, name: str, sentences: list, overlap: int):
    tokenizer = piece_tokenizers[name]
    check(PieceIndexer(tokenizer, overlap=overlap)(sentences), sentences, tokenizer)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_sentence_within_the_limit_is_what_the_tokenizer_gives(tiny_tokenizers: Path, minilm_path: Path, name: str):
    folder = minilm_path if name == "minilm" else tiny_tokenizers / name
    tokenizer = load_tokenizer(str(folder))
    inputs = PieceIndexer(PieceTokenizer(tokenizer, limit=128), overlap=16)([PLAIN])
    expected = tokenizer(PLAIN, is_split_into_words=True)
    assert inputs.ids.tolist() == [expected["input_ids"]]
    assert inputs.word.tolist() == [[-1 if word is None else word for word in expected.word_ids()]]
    assert inputs.mask.all()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_sentence_of_5000_words_keeps_them_all(piece_tokenizers, name: str):
    sentences = [PLAIN, (PLAIN * 420)[:5000], []]
    tokenizer = piece_tokenizers[name]
    inputs = PieceIndexer(tokenizer, overlap=4)(sentences)
    assert len(inputs.ids) > 5000 // 16
    check(inputs, sentences, tokenizer)


@pytest.mark.parametrize("sentences", [[[]], [[], [], []]])
def test_sentences_without_words_still_make_one_window(piece_tokenizers, sentences: list):
    tokenizer = piece_tokenizers["wordpiece"]
    inputs = PieceIndexer(tokenizer, overlap=4)(sentences)
    assert inputs.ids.tolist() == [[*tokenizer.prefix, *tokenizer.suffix]]
    assert inputs.mask.all()
    assert inputs.first.shape == (len(sentences), 0)


def test_the_length_of_a_sentence_counts_special_pieces(piece_tokenizers):
    tokenizer = piece_tokenizers["bpe"]
    sentence = ["the", "teacher", "unbelievable"]
    assert Indexer(pieces=PieceIndexer(tokenizer, overlap=4)).length(sentence) == len(
        tokenizer.tokenizer(sentence, is_split_into_words=True)["input_ids"]
    )


VOCABULARY = Vocabulary(("a", "b", "c", "A"))


def spellings(inputs: CharacterInputs, sentences: list[list[str]]) -> list[list[list[int]]]:
    """Each word's character ids, read back."""
    return [
        [inputs.ids[u, : inputs.lengths[u]].tolist() for u in row[: len(sentence)].tolist()]
        for row, sentence in zip(inputs.word, sentences, strict=True)
    ]


@given(st.lists(st.lists(st.text("abcAz", max_size=9), max_size=6), max_size=4))
def test_spellings_are_kept_each_distinct_word_once(sentences: list[list[str]]):
    inputs = CharacterIndexer(VOCABULARY, max_length=6)(sentences)
    shortened = [[w if len(w) <= 6 else w[:3] + w[-3:] for w in sentence] for sentence in sentences]
    expected = [[[VOCABULARY.id(c) for c in word] or [UNKNOWN] for word in sentence] for sentence in shortened]
    assert spellings(inputs, sentences) == expected
    assert len(inputs.ids) == len({word for sentence in sentences for word in sentence} | {""})
    # Padding characters are 0, padded words read the empty spelling, and no length is 0.
    outside = torch.arange(inputs.ids.shape[1]) >= inputs.lengths[:, None]
    assert not inputs.ids[outside].any()
    assert (inputs.lengths >= 1).all()
    for row, sentence in zip(inputs.word, sentences, strict=True):
        assert not row[len(sentence) :].any()


def test_a_word_of_10000_characters_keeps_its_two_ends():
    inputs = CharacterIndexer(VOCABULARY, max_length=5)([["ab" + "z" * 9996 + "cA"]])
    assert spellings(inputs, [["w"]]) == [[[2, 3, 1, 4, 5]]]


def test_the_spelling_of_a_word_is_the_same_the_second_time():
    index = CharacterIndexer(VOCABULARY, max_length=5)
    sentences = [["abba", "cab"], ["cab"]]
    assert spellings(index(sentences), sentences) == spellings(index(sentences), sentences)


def test_the_spelling_of_a_long_word_is_not_remembered():
    index = CharacterIndexer(VOCABULARY, max_length=5)
    sentences = [["cab", "a" * 100, "a" * 101]]
    assert spellings(index(sentences), sentences) == spellings(index(sentences), sentences)
    assert set(index._known) == {"", "cab", "a" * 100}


def test_words_are_looked_up_as_they_are_then_in_lower_case():
    index = WordIndexer(Vocabulary(("the", "Apple", "apple")))
    assert index([["The", "Apple", "APPLE", "pear"], ["the"]]).tolist() == [[2, 3, 4, 1], [2, 0, 0, 0]]


def test_the_mask_is_true_at_words():
    index = Indexer(words=WordIndexer(Vocabulary(("a",))))
    inputs = index([["a", "b"], [], ["a"]])
    assert inputs.word_mask.tolist() == [[True, True], [False, False], [True, False]]
    assert inputs.pieces is None
    assert inputs.characters is None
    assert index.length(["a", "b"]) == 2


@pytest.mark.parametrize(("sentences", "shape"), [([], (0, 0)), ([[]], (1, 0)), ([[], []], (2, 0))])
def test_batches_without_words_have_tensors_without_words(piece_tokenizers, sentences: list, shape: tuple[int, int]):
    index = Indexer(
        words=WordIndexer(VOCABULARY),
        pieces=PieceIndexer(piece_tokenizers["unigram"], overlap=4),
        characters=CharacterIndexer(VOCABULARY, max_length=6),
    )
    inputs = index(sentences)
    assert inputs.word_ids is not None
    assert inputs.characters is not None
    assert inputs.pieces is not None
    assert inputs.word_mask.shape == inputs.word_ids.shape == inputs.characters.word.shape == shape
    assert inputs.pieces.first.shape == shape
    assert inputs.characters.ids.tolist() == [[UNKNOWN]]


def test_an_indexer_saves_what_it_needs(piece_tokenizers, tmp_path: Path):
    Indexer(
        pieces=PieceIndexer(piece_tokenizers["bpe"], overlap=4), characters=CharacterIndexer(VOCABULARY, max_length=6)
    ).save_pretrained(tmp_path)
    assert load_vocabularies(tmp_path) == (None, VOCABULARY)
    saved = PieceTokenizer(load_tokenizer(str(tmp_path)), limit=16)
    assert saved.pieces(PLAIN) == piece_tokenizers["bpe"].pieces(PLAIN)


def test_an_indexer_of_pieces_alone_writes_no_vocabulary(piece_tokenizers, tmp_path: Path):
    Indexer(pieces=PieceIndexer(piece_tokenizers["bpe"], overlap=4)).save_pretrained(tmp_path)
    assert not (tmp_path / "vocabulary.json").exists()
