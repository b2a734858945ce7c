import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Document, from_columns, to_columns
from seqmtl.errors import DataError


@given(data=st.data())
def test_round_trip_of_many_documents_in_one_file(documents: st.SearchStrategy[Document], data: st.DataObject):
    written = data.draw(st.lists(documents.filter(lambda document: bool(document.sentences)), max_size=3))
    file = "".join(to_columns(document, document_id=f"d{number}") for number, document in enumerate(written))
    assert from_columns(file) == written


def test_nothing_is_no_document():
    assert from_columns("") == from_columns("\n\n") == []


def test_a_line_with_a_missing_column_is_named(document: Document):
    lines = to_columns(document).split("\n")
    lines[7] = lines[7].replace("\t_", "", 1)
    with pytest.raises(DataError, match="line 8: 9 columns, not 10"):
        from_columns("\n".join(lines))


def test_other_conllu_is_sent_to_the_corpus_reader():
    with pytest.raises(DataError, match=r"sentence 7: the comment '# plain_layers = ...' is missing; .* as a corpus"):
        from_columns("# sent_id = 7\n1\tHi\t_\tX\t_\t_\t_\t_\t_\t_\n\n")
