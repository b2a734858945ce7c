from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Annotation, Document, Frame, Sentence, TypedSpan, build_document, segment
from seqmtl.errors import LabelError
from seqmtl.labels.frames import arguments
from seqmtl.labels.schemes import lenient_spans


def parts(sentence: Sentence) -> list[TypedSpan]:
    """All spans and pieces of arguments of a sentence."""
    spans = [span for layer in sentence.spans.values() for span in layer]
    frames = [frame for layer in sentence.frames.values() for frame in layer]
    return spans + [piece for frame in frames for argument in frame.arguments for piece in argument.pieces]


@given(data=st.data())
def test_offsets_of_every_part_give_back_its_text(documents: st.SearchStrategy[Document], data: st.DataObject):
    document = data.draw(documents)
    for sentence in document.sentences:
        assert all(document.text[token.start : token.end] == token.text for token in sentence.tokens)
        for part in parts(sentence):
            assert document.text[part.start : part.end] == part.text == document.text_of(part)
            assert part.start == sentence.tokens[part.start_token].start
            assert part.end == sentence.tokens[part.end_token - 1].end


@given(data=st.data())
def test_spans_are_the_lenient_reading_of_the_tags(documents: st.SearchStrategy[Document], data: st.DataObject):
    for sentence in data.draw(documents).sentences:
        for task, spans in sentence.spans.items():
            found = [(span.start_token, span.end_token, span.label) for span in spans]
            assert found == [(span.start, span.end, span.label) for span in lenient_spans(sentence.tags[task])]


@given(tags=st.lists(st.sampled_from(["O", "B-A0", "I-A0", "B-C-A0", "I-C-A0", "B-A1", "B-C-A1", "B-V"]), min_size=1))
def test_arguments_are_those_of_the_official_reading(tags: list[str]):
    text = " ".join("x" * len(tags))
    frames = {"srl": [Frame(0, "", tuple(tags))]}
    document = build_document(
        text, sentences=[[(2 * i, 2 * i + 1) for i in range(len(tags))]], annotations=[Annotation(frames=frames)]
    )
    found = document.sentences[0].frames["srl"][0].arguments
    assert [
        (argument.label, tuple((piece.start_token, piece.end_token) for piece in argument.pieces)) for argument in found
    ] == [(argument.label, argument.pieces) for argument in arguments(tags)]


def test_a_document_by_hand(document: Document):
    first, second = document.sentences
    assert [span.text for span in first.spans["ner"]] == ["Anna", "Ben"]
    give, sleep = first.frames["srl"]
    assert [(argument.label, argument.text) for argument in give.arguments] == [
        ("ARG0", "Anna"),
        ("ARGM-NEG", "n't"),
        ("ARG2", "Ben , ... who"),
        ("ARG1", "the book"),
    ]
    assert (sleep.sense, [argument.label for argument in sleep.arguments]) == ("sleep.01", ["ARG0", "R-ARG0"])
    assert first.tokens[3].layers == {"upos": "VERB"}
    assert document.text_of(second) == "He left ."
    assert second.spans == {"ner": ()}
    assert second.frames == {"srl": ()}


def test_without_annotations_there_are_words_only():
    document = build_document("Go. Come.", sentences=segment("Go. Come."))
    assert [[token.text for token in sentence.tokens] for sentence in document.sentences] == [
        ["Go", "."],
        ["Come", "."],
    ]
    assert all(not sentence.tags and not sentence.spans and not sentence.frames for sentence in document.sentences)


def test_text_without_words_is_a_document_without_sentences():
    assert build_document(" \n", sentences=segment(" \n")) == Document(" \n", ())


def test_a_tag_that_is_no_span_tag_is_an_error():
    with pytest.raises(LabelError, match="NOUN"):
        build_document("a", sentences=[[(0, 1)]], annotations=[Annotation(span_tags={"ner": ["NOUN"]})])


@pytest.mark.parametrize(
    "annotation",
    [
        Annotation(tags={"upos": ["X"]}),
        Annotation(span_tags={"ner": ["O", "O", "O"]}),
        Annotation(frames={"srl": [Frame(0, "", ("B-V",))]}),
    ],
)
def test_a_layer_of_another_length_is_a_mistake_of_the_program(annotation: Annotation):
    with pytest.raises(AssertionError, match="2 words"):
        build_document("a b", sentences=[[(0, 1), (2, 3)]], annotations=[annotation])


def test_a_document_cannot_be_changed(document: Document):
    with pytest.raises(FrozenInstanceError):
        document.text = ""  # type: ignore[misc]
