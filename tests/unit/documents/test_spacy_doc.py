import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Document, build_document, segment, to_spacy
from seqmtl.documents.spacy_doc import Layout
from seqmtl.errors import ConfigError


@given(data=st.data())
def test_the_tokens_spell_the_raw_text_and_every_word_is_one(
    documents: st.SearchStrategy[Document], data: st.DataObject
):
    document = data.draw(documents)
    layout = Layout.of(document)
    parts = [word + " " * space for word, space in zip(layout.words, layout.spaces, strict=True)]
    assert "".join(parts) == document.text
    for sentence in document.sentences:
        for token in sentence.tokens:
            place = layout.places[token.start]
            assert layout.words[place] == token.text
            assert sum(map(len, parts[:place])) == token.start
        for span in (span for layer in sentence.spans.values() for span in layer):
            start, end = layout.extent(sentence, span)
            assert "".join(parts[start : end - 1]) + layout.words[end - 1] == span.text


def test_white_space_other_than_one_space_is_a_token():
    layout = Layout.of(build_document("\nA  b \n c.", sentences=segment("\nA  b \n c.")))
    assert layout.words == ["\n", "A", " ", "b", "\n ", "c", "."]
    assert layout.spaces == [False, True, False, True, False, False, False]


def test_without_spacy_it_says_how_to_get_it(document: Document, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    monkeypatch.setitem(sys.modules, "spacy.parts_of_speech", None)
    with pytest.raises(ConfigError, match=r"spaCy is not installed; pip install 'seqmtl\[spacy\]'"):
        to_spacy(document)


def test_a_doc_by_hand(document: Document):
    pytest.importorskip("spacy")
    doc = to_spacy(document)
    assert doc.text == document.text
    assert [sentence.text.strip() for sentence in doc.sents] == [document.text_of(part) for part in document.sentences]
    assert [token.pos_ for token in doc][:4] == ["PROPN", "AUX", "PART", "VERB"]
    assert [(span.text, span.label_) for span in doc.ents] == [("Anna", "PER"), ("Ben", "PER")]
    assert [(span.text, span.label_) for span in doc.spans["ner"]] == [("Anna", "PER"), ("Ben", "PER")]
    give, sleep = doc.user_data["frames"]["srl"]
    assert (doc[give["predicate"]].text, give["sense"]) == ("give", "")
    assert [[doc[start:end].text for start, end in argument["pieces"]] for argument in give["arguments"]] == [
        ["Anna"],
        ["n't"],
        ["Ben ,", "who"],
        ["the book"],
    ]
    assert (doc[sleep["predicate"]].text, sleep["sense"]) == ("slept", "sleep.01")


@given(data=st.data())
def test_any_document_survives_bytes(documents: st.SearchStrategy[Document], data: st.DataObject):
    tokens = pytest.importorskip("spacy.tokens")
    document = data.draw(documents)
    doc = to_spacy(document)
    again = tokens.Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again.text == document.text
    assert again.user_data["frames"] == doc.user_data["frames"]
    assert len(list(again.sents)) == len(document.sentences) or not document.sentences
