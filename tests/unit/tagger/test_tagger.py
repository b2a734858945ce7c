from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqmtl import Tagger
from seqmtl.checkpoints import load_checkpoint
from seqmtl.documents import segment
from seqmtl.errors import CheckpointError, ConfigError

TEXT = "Anna gave Bob the book.  She was tired!\n\nThe dog that he saw slept in Paris."


@pytest.fixture(scope="module")
def tagger(tiny_run):
    return Tagger.from_pretrained(tiny_run)


def check_offsets(document):
    """Every part's characters are its text; the words are those of the segmenter."""
    words = [[document.text[start:end] for start, end in sentence] for sentence in segment(document.text)]
    assert [[token.text for token in sentence.tokens] for sentence in document.sentences] == words
    for sentence in document.sentences:
        for token in sentence.tokens:
            assert document.text[token.start : token.end] == token.text
        for spans in sentence.spans.values():
            for span in spans:
                assert document.text[span.start : span.end] == span.text
        for frames in sentence.frames.values():
            for frame in frames:
                assert 0 <= frame.predicate < len(sentence.tokens)
                for argument in frame.arguments:
                    for piece in argument.pieces:
                        assert document.text[piece.start : piece.end] == piece.text


def test_offsets_fit_the_raw_text_for_words_spans_and_arguments(tagger):
    document = tagger(TEXT)
    assert document.text == TEXT
    assert len(document.sentences) == 3
    check_offsets(document)
    assert any(spans for sentence in document.sentences for spans in sentence.spans.values())


def test_every_layer_is_there(tagger):
    sentence = tagger(TEXT).sentences[0]
    assert set(sentence.spans) == {"chunk", "ner"}
    assert set(sentence.frames) == {"srl"}  # found predicates stand in the frames
    assert set(sentence.tags) == {"upos", "chunk", "ner"}
    assert all(set(token.layers) == {"upos"} for token in sentence.tokens)
    assert tagger.word_layers == ("upos",)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\r\n", "\u200b"])
def test_text_without_words_has_no_sentences_or_only_odd_ones(tagger, text):
    document = tagger(text)
    check_offsets(document)
    assert document.text == text
    assert len(document.sentences) == len(segment(text))


def test_no_texts_give_no_documents(tagger):
    assert tagger.tag([]) == []


def test_many_texts_in_order_equal_one_by_one(tagger):
    texts = [TEXT, "", "Bob slept.", "The old man and his sister saw the report in the garden. " * 3, " \n", "Paris"]
    assert tagger.tag(texts) == [tagger(text) for text in texts]
    assert tagger.tag(iter(texts)) == tagger.tag(texts)


@pytest.mark.parametrize(
    "text",
    [
        "😀👩‍👩‍👧 smiled at 🇩🇪 .",
        "שלום עולם. ‏مرحبا بالعالم؟",
        "a\u200bb \u200d\u200d zero\u200cwidth \ufeffmark",
        "Z̷a̷l̷g̷o̷ cafe\u0301",
        "word " * 5000,
    ],
    ids=["emoji", "rtl", "zero-width", "combining", "5000 words"],
)
def test_difficult_text_is_tagged(tagger, text):
    check_offsets(tagger(text))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=60))
def test_any_text_is_tagged_with_offsets(tagger, text):
    document = tagger(text)
    check_offsets(document)
    assert document.text == text


def test_a_predicate_task_without_roles_gives_bare_frames(tiny_run):
    both = Tagger.from_pretrained(tiny_run)(TEXT)
    alone = Tagger.from_pretrained(tiny_run, tasks=["predicate"])(TEXT)
    found = [[frame.predicate for frame in sentence.frames["srl"]] for sentence in both.sentences]
    assert [[frame.predicate for frame in sentence.frames["predicate"]] for sentence in alone.sentences] == found
    assert any(found)
    frames = [frame for sentence in alone.sentences for frame in sentence.frames["predicate"]]
    assert all(frame.arguments == () and frame.sense == "" for frame in frames)


def test_roles_alone_use_their_predicate_task_without_showing_it(tiny_run):
    both = Tagger.from_pretrained(tiny_run)(TEXT)
    roles = Tagger.from_pretrained(tiny_run, tasks=["srl"])(TEXT)
    assert [s.frames for s in roles.sentences] == [s.frames for s in both.sentences]
    assert all(s.tags == {} for s in roles.sentences)


def test_roles_without_a_predicate_task_are_refused_unless_they_are_left_out(tiny_model):
    made = tiny_model("upos", "predicate", "srl")
    task = made.model.tasks["srl"]
    made.model.tasks["srl"] = replace(task, spec=task.spec.model_copy(update={"predicates": None}))
    with pytest.raises(CheckpointError, match=r"'srl' cannot label text.*tasks\.srl\.predicates"):
        Tagger(made.model, made.indexer)
    with pytest.raises(CheckpointError, match="'srl' cannot label text"):
        Tagger(made.model, made.indexer, tasks=["srl"])
    assert set(Tagger(made.model, made.indexer, tasks=["upos"])("Anna slept.").sentences[0].tags) == {"upos"}


def test_an_unknown_task_is_named_with_the_nearest(tiny_run):
    with pytest.raises(ConfigError, match=r"no task 'upso'.*'upos'"):
        Tagger.from_pretrained(tiny_run, tasks=["upso"])


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        Tagger.from_pretrained(tmp_path)


def test_a_tagger_puts_its_model_into_evaluation_mode(tiny_run):
    model, indexer = load_checkpoint(tiny_run)
    model.train()
    tagger = Tagger(model, indexer)
    assert not model.training
    assert tagger(TEXT) == tagger(TEXT)  # no dropout


def test_a_tiny_transformer_tags_more_than_its_window(tiny, tiny_encoder, tmp_path, quiet):
    from seqmtl.specs.recipe import RecipeSpec
    from seqmtl.training import train_recipe

    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    tiny["training"]["max_steps"] = 1
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=quiet)
    tagger = Tagger.from_pretrained(tmp_path / "run", tasks=["upos", "chunk", "ner"])
    for text in ("", "\u200b x", "😀 שלום", "the old man saw it " * 1000):
        check_offsets(tagger(text))
