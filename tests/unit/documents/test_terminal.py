from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from seqmtl.documents import Annotation, Document, build_document, document_view, segment


def printed(document: Document, *, width: int = 80, word_layers: tuple[str, ...] = ()) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(document_view(document, word_layers=word_layers))
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))


def test_plain_text_at_80_columns(document: Document):
    assert printed(document) == (
        "1  Anna did n't give Ben , who slept , the book . 👍🏽 שלום\n"
        "\n"
        "   ner  [PER Anna] did n't give [PER Ben] , who slept , the book . 👍🏽 שלום\n"
        "   srl  give      [ARG0 Anna] … [ARGM-NEG n't] give [ARG2 Ben ,] [ARG2 who] …\n"
        "                  [ARG1 the book]\n"
        "        sleep.01  [ARG0 Ben] , [R-ARG0 who] slept\n"
        "\n"
        "2  He left .\n"
        "\n"
        "   ner  none\n"
        "   srl  none\n"
        "\n"
    )


def test_tags_under_words(document: Document):
    lines = printed(document, word_layers=("upos",), width=40).split("\n")
    assert lines[:5] == [
        "1  Anna   did  n't   give  Ben    ,",
        "   PROPN  AUX  PART  VERB  PROPN  PUNCT",
        "",
        "   who   slept  ,      the  book  .",
        "   PRON  VERB   PUNCT  DET  NOUN  PUNCT",
    ]


def test_colour_changes_nothing_but_the_colour(document: Document):
    file = StringIO()
    console = Console(file=file, width=80, color_system="standard", force_terminal=True)
    console.print(document_view(document))
    assert "\x1b[36mAnna\x1b[0m" in file.getvalue()
    coloured = [line.rstrip() for line in Text.from_ansi(file.getvalue()).plain.split("\n")]
    assert coloured == printed(document).split("\n")


@given(data=st.data(), width=st.sampled_from([40, 80]))
def test_no_line_is_wider_than_the_terminal(documents: st.SearchStrategy[Document], data: st.DataObject, width: int):
    document = data.draw(documents)
    assert all(cell_len(line) <= width for line in printed(document, width=width).split("\n"))


def test_escape_sequences_of_the_text_do_not_reach_the_terminal():
    text = "\x1b[2Jred \x07"
    assert "\x1b" not in printed(build_document(text, sentences=segment(text)))


@pytest.mark.parametrize("word_layers", [(), ("upos",)])
def test_no_letter_of_a_long_word_is_lost(word_layers: tuple[str, ...]):
    text = "a" * 20_000
    annotation = Annotation(tags={"upos": ["X"]}, span_tags={"ner": ["B-LOC"]})
    document = build_document(text, sentences=segment(text), annotations=[annotation])
    words, ner = printed(document, word_layers=word_layers).split("ner")
    assert words.count("a") == 20_000
    assert ner.count("a") == 20_000


def test_text_without_words():
    assert printed(build_document("\n", sentences=[])) == "(no words)\n"
