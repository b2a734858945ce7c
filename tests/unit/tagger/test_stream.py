"""Any number of texts, in order and in the same memory."""

import gc
import tracemalloc
from itertools import count, islice

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqmtl import ConfigError, Tagger
from seqmtl.data import indexing, pieces

TEXTS = [
    "Anna gave Bob the book. She was tired!",
    "",
    "Bob slept.",
    "The old man and his sister saw the report in the garden. " * 3,
    " \n",
    "Paris",
]


@pytest.fixture(scope="module")
def tagger(tiny_run):
    return Tagger.from_pretrained(tiny_run, tokens_per_batch=30)


@pytest.mark.parametrize("look_ahead", [None, 1, 7, 10**6])
def test_documents_come_in_order_whatever_is_read_ahead(tagger, look_ahead):
    stream = tagger.stream(iter(TEXTS), look_ahead=look_ahead)
    assert iter(stream) is stream
    assert list(stream) == [tagger(text) for text in TEXTS] == tagger.tag(TEXTS)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.sampled_from(TEXTS), max_size=8), look_ahead=st.integers(1, 60), budget=st.integers(1, 60))
def test_neither_windows_nor_batches_change_a_document(tagger, texts, look_ahead, budget):
    other = Tagger(tagger.model, tagger.indexer, tokens_per_batch=budget)
    assert list(other.stream(texts, look_ahead=look_ahead)) == [tagger(text) for text in texts]


def test_no_text_is_asked_for_before_it_is_needed(tagger):
    asked = []
    endless = (asked.append(n) or f"Anna saw {n} cats." for n in count())
    stream = tagger.stream(endless, look_ahead=12)
    assert asked == []
    assert next(stream).text == "Anna saw 0 cats."
    assert asked == [0, 1, 2]  # of five words each
    assert [document.text for document in islice(stream, 3)][-1] == "Anna saw 3 cats."
    assert asked == [0, 1, 2, 3, 4, 5]


def test_no_texts(tagger):
    assert list(tagger.stream([])) == []


def test_every_sentence_is_encoded_once(tiny_run):
    tagger = Tagger.from_pretrained(tiny_run, tokens_per_batch=30)
    calls = []
    tagger.model.encoder.register_forward_pre_hook(lambda _, given: calls.append(len(given[0].word_mask)))
    documents = tagger.tag(TEXTS)
    assert sum(calls) == sum(len(document.sentences) for document in documents) == 7
    assert len(calls) < 7


def test_a_batch_costs_no_more_than_its_budget(tiny_run):
    tagger = Tagger.from_pretrained(tiny_run, tokens_per_batch=40)
    shapes = []
    tagger.model.encoder.register_forward_pre_hook(lambda _, given: shapes.append(given[0].word_mask.shape))
    tagger.tag(TEXTS * 5)
    assert max(rows * words for rows, words in shapes) <= 40
    assert len(shapes) > 5
    assert shapes == sorted(shapes, key=lambda shape: -shape[1])  # one window, longest first


def test_the_budget_of_sub_words_counts_pieces(tiny_model):
    tiny = tiny_model("upos")
    tagger = Tagger(tiny.model, tiny.indexer, tokens_per_batch=48)
    shapes = []
    tiny.model.encoder.model.register_forward_pre_hook(
        lambda _module, _args, given: shapes.append(given["inputs_embeds"].shape[:2]), with_kwargs=True
    )
    tagger.tag(TEXTS * 5)
    assert max(rows * pieces for rows, pieces in shapes) <= 48


def test_a_text_of_many_sentences_is_longer_than_any_window(tagger):
    sentence = "The old man saw it. "
    document = next(tagger.stream([sentence * 300], look_ahead=5))
    assert len(document.sentences) == 300
    assert document.sentences[299].tokens[0].start == 299 * len(sentence)


def test_bfloat16_says_nearly_the_same(tiny_model, monkeypatch):
    tiny = tiny_model()
    seen = []
    real = type(tiny.model).decode_words

    def watch(self, task, features, mask):
        seen.append(self.heads[task].scorer(features).dtype)
        return real(self, task, features, mask)

    monkeypatch.setattr(type(tiny.model), "decode_words", watch)
    plain = Tagger(tiny.model, tiny.indexer).tag(TEXTS)
    assert set(seen) == {torch.float32}
    seen.clear()
    rough = Tagger(tiny.model, tiny.indexer, precision="bf16").tag(TEXTS)
    assert set(seen) == {torch.bfloat16}
    assert not torch.is_autocast_enabled("cpu")
    assert next(tiny.model.parameters()).dtype == torch.float32
    tags = [[t for d in docs for s in d.sentences for t in s.tags["upos"]] for docs in (plain, rough)]
    same = sum(a == b for a, b in zip(*tags, strict=True))
    assert same >= 0.8 * len(tags[0])


def test_what_cannot_be_is_refused(tiny_model):
    tiny = tiny_model("upos")
    with pytest.raises(ConfigError, match=r"precision: got 'fp16'; allowed: fp32, bf16, int8"):
        Tagger(tiny.model, tiny.indexer, precision="fp16")
    with pytest.raises(ConfigError, match=r"tokens_per_batch: got 0; allowed: 1 or more"):
        Tagger(tiny.model, tiny.indexer, tokens_per_batch=0)


UNICODE = {
    "combining": "Cafe\u0301 Zoe\u0308 ate na\u0131\u0308ve cre\u0300me bru\u0302le\u0301e.",
    "emoji": "😀👩‍👩‍👧 smiled at 🇩🇪 in Paris.",
    "crlf": "Anna slept.\r\nBob\r\nleft Paris.\r\n\r\nShe was tired.\r\n",
    "rtl": "שלום Anna. ‏مرحبا بالعالم؟ Bob left.",
    "two planes": "𝔸nna gave 𐍈ob the 𝒷ook.",
}


@pytest.mark.parametrize("text", UNICODE.values(), ids=UNICODE)
def test_characters_are_counted_as_python_counts_them(tagger, text):
    for prefix in ("", "😀 e\u0301\r\n\r\n"):
        document = tagger(prefix + text)
        assert document.text == prefix + text
        words = [token for sentence in document.sentences for token in sentence.tokens]
        assert all(document.text[word.start : word.end] == word.text for word in words)
        covered = "".join(word.text for word in words)
        assert covered == "".join((prefix + text).split())
        for sentence in document.sentences:
            for span in (span for spans in sentence.spans.values() for span in spans):
                assert span.start == sentence.tokens[span.start_token].start
                assert document.text[span.start : span.end] == span.text


def test_a_line_end_of_windows_is_two_characters_of_white_space(tagger):
    document = tagger(UNICODE["crlf"])
    assert [sentence.start for sentence in document.sentences] == [0, 13, 33]
    assert [[token.text for token in sentence.tokens] for sentence in document.sentences] == [
        ["Anna", "slept", "."],
        ["Bob", "left", "Paris", "."],
        ["She", "was", "tired", "."],
    ]


@pytest.mark.slow
def test_memory_is_flat_over_20000_sentences_of_ever_new_words(tiny_model, monkeypatch):
    monkeypatch.setattr(pieces, "REMEMBERED", 2000)
    monkeypatch.setattr(indexing, "REMEMBERED", 2000)
    tiny = tiny_model("upos", "chunk", "predicate", "srl")
    tagger = Tagger(tiny.model, tiny.indexer, tokens_per_batch=256)
    tracemalloc.start()
    try:
        held = []
        for number, _ in enumerate(tagger.stream((f"Anna saw b{n} again." for n in range(20_000)), look_ahead=2500)):
            if number % 2500 == 2499:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0] / 2**20)
    finally:
        tracemalloc.stop()
    assert len(held) == 8
    assert max(held[4:]) < max(held[:4]) + 0.5  # MiB; without a bound, it grows by 3
