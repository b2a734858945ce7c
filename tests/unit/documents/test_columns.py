import re

import conllu
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Document, build_document, segment, to_columns
from seqmtl.documents.escapes import unescaped


@given(data=st.data())
def test_the_conllu_library_reads_the_same_words_and_tags(documents: st.SearchStrategy[Document], data: st.DataObject):
    document = data.draw(documents)
    read = conllu.parse(to_columns(document))
    assert len(read) == len(document.sentences)
    for sentence, ours in zip(read, document.sentences, strict=True):
        assert [token["form"] for token in sentence] == [token.text for token in ours.tokens]
        assert [token["id"] for token in sentence] == list(range(1, len(ours.tokens) + 1))
        for token, word in zip(sentence, ours.tokens, strict=True):
            assert token["misc"]["TokenRange"] == f"{word.start}:{word.end}"
        for task in ours.spans:
            tags = [unescaped(token["misc"].get(task, "O")) for token in sentence]
            assert tags == list(ours.tags[task])


@given(data=st.data())
def test_the_text_of_a_sentence_follows_from_its_words(documents: st.SearchStrategy[Document], data: st.DataObject):
    """As the validator of Universal Dependencies checks it, any white space being one space to it."""
    for sentence in conllu.parse(to_columns(data.draw(documents))):
        spaces = ["" if token["misc"].get("SpaceAfter") == "No" else " " for token in sentence]
        text = "".join(token["form"] + space for token, space in zip(sentence, spaces, strict=True))
        assert re.sub(r"[\s\u200b]+", " ", sentence.metadata["text"]) == text.rstrip(" ")


def test_columns_by_hand(document: Document):
    lines = to_columns(document, document_id="letter").split("\n")
    assert lines[:6] == [
        "# newdoc id = letter",
        "# sent_id = letter-1",
        "# text = Anna did n't give Ben , who slept , the book . 👍🏽 שלום",
        "# plain_layers = upos",
        "# span_layers = ner",
        "# frame_layers = srl",
    ]
    assert lines[6] == "1\tAnna\t_\tPROPN\t_\t_\t_\t_\t_\tTokenRange=0:4|ner=B-PER|srl.1=B-ARG0"
    assert lines[9] == "4\tgive\t_\tVERB\t_\t_\t_\t_\t_\tTokenRange=13:17|srl.1=B-V|srl.1.predicate=_"
    assert lines[12].endswith("\tTokenRange=24:27|srl.1=B-C-ARG2|srl.2=B-R-ARG0")
    assert lines[13].endswith("|srl.2=B-V|srl.2.predicate=sleep.01")
    assert lines[19].endswith("|SpacesAfter=\\n\\n\\s\\s")
    assert lines[20:22] == ["", "# sent_id = letter-2"]
    assert lines[-3:] == ["3\t.\t_\tPUNCT\t_\t_\t_\t_\t_\tTokenRange=66:67|SpaceAfter=No", "", ""]


def test_a_document_without_words_leaves_no_trace():
    assert to_columns(build_document(" \n", sentences=segment(" \n"))) == ""
