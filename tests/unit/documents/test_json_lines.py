import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Document, from_json, from_json_line, to_json, to_json_line
from seqmtl.errors import DataError


@given(data=st.data())
def test_round_trip(documents: st.SearchStrategy[Document], data: st.DataObject):
    document = data.draw(documents)
    line = to_json_line(document)
    assert not {"\n", "\r"} & set(line)
    assert from_json_line(line) == document
    assert from_json(to_json(document)) == document


def test_the_shape_that_others_rely_on(document: Document):
    sentence = json.loads(to_json_line(document))["sentences"][0]
    anna = {"label": "PER", "start_token": 0, "end_token": 1, "start": 0, "end": 4, "text": "Anna"}
    assert list(sentence) == ["start", "end", "tokens", "tags", "spans", "frames"]
    assert sentence["tokens"][0] == {"text": "Anna", "start": 0, "end": 4, "layers": {"upos": "PROPN"}}
    assert sentence["spans"]["ner"][0] == anna
    assert sentence["tags"]["ner"][:2] == ["B-PER", "O"]
    frame = sentence["frames"]["srl"][0]
    assert (frame["predicate"], frame["sense"]) == (3, "")
    assert frame["arguments"][0] == {"label": "ARG0", "pieces": [{**anna, "label": "ARG0"}], "text": "Anna"}


def test_other_scripts_stay_readable(document: Document):
    assert "שלום" in to_json_line(document)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a line of JSON"),
        ("[1, 2]", "begins with '\\[1, 2\\]'"),
        ('{"text": "a"}', "the key 'sentences' is missing"),
        ('{"text": "a", "sentences": [{"tokens": []}]}', "the key 'tags' is missing"),
    ],
)
def test_what_is_no_document_is_an_error(line: str, message: str):
    with pytest.raises(DataError, match=message):
        from_json_line(line)
