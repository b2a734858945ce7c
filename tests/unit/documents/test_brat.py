import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents import Annotation, Document, Frame, build_document, segment, to_brat

LINE = re.compile(
    r"T\d+\t[A-Za-z0-9_-]+ (?P<offsets>\d+ \d+(;\d+ \d+)*)\t(?P<text>[^\t]+)"
    r"|#\d+\tAnnotatorNotes T\d+\t[^\t]+"
    r"|R\d+\t[A-Za-z0-9_-]+ Arg1:T\d+ Arg2:T\d+"
)


def annotated(text: str, annotation: Annotation) -> list[str]:
    return to_brat(build_document(text, sentences=segment(text), annotations=[annotation])).split("\n")


def test_spans_and_frames_by_hand(document: Document):
    assert to_brat(document) == (
        "T1\tPER 0 4\tAnna\n"
        "T2\tPER 18 21\tBen\n"
        "T3\tsrl-predicate 13 17\tgive\n"
        "T4\tsrl-argument 0 4\tAnna\n"
        "R1\tARG0 Arg1:T3 Arg2:T4\n"
        "T5\tsrl-argument 9 12\tn't\n"
        "R2\tARGM-NEG Arg1:T3 Arg2:T5\n"
        "T6\tsrl-argument 18 23;24 27\tBen , who\n"
        "R3\tARG2 Arg1:T3 Arg2:T6\n"
        "T7\tsrl-argument 36 44\tthe book\n"
        "R4\tARG1 Arg1:T3 Arg2:T7\n"
        "T8\tsrl-predicate 28 33\tslept\n"
        "#1\tAnnotatorNotes T8\tsleep.01\n"
        "T9\tsrl-argument 18 21\tBen\n"
        "R5\tARG0 Arg1:T8 Arg2:T9\n"
        "T10\tsrl-argument 24 27\twho\n"
        "R6\tR-ARG0 Arg1:T8 Arg2:T10\n"
    )


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\u2028", "\t"])
def test_a_span_over_a_line_break_has_a_fragment_on_either_side(line_break: str):
    text = f"in New {line_break} York City"
    annotation = Annotation(span_tags={"ner": "O B-LOC I-LOC I-LOC".split()})
    second = text.index("York")
    assert annotated(text, annotation) == [f"T1\tLOC 3 6;{second} {second + 9}\tNew York City", ""]


def test_frames_share_the_words_of_an_argument():
    frames = [Frame(1, "", ("B-ARG0", "B-V", "O", "O")), Frame(3, "a\tb", ("B-ARG1", "O", "O", "B-V"))]
    assert annotated("She sat and slept", Annotation(frames={"srl": frames})) == [
        "T1\tsrl-predicate 4 7\tsat",
        "T2\tsrl-argument 0 3\tShe",
        "R1\tARG0 Arg1:T1 Arg2:T2",
        "T3\tsrl-predicate 12 17\tslept",
        "#1\tAnnotatorNotes T3\ta b",
        "R2\tARG1 Arg1:T3 Arg2:T2",
        "",
    ]


def test_characters_that_no_type_may_have_become_underscores():
    annotation = Annotation(span_tags={"ner": ["B-a|b c", "B-é"]})
    assert annotated("Anna slept", annotation) == ["T1\ta_b_c 0 4\tAnna", "T2\t_ 5 10\tslept", ""]


def test_offsets_count_code_points():
    assert annotated("👍🏽 שלום", Annotation(span_tags={"ner": ["O", "B-X"]})) == ["T1\tX 3 7\tשלום", ""]


def test_a_document_without_annotation_is_an_empty_file():
    assert to_brat(build_document("A b.", sentences=segment("A b."))) == ""


@given(data=st.data())
def test_every_line_is_one_of_brat_and_offsets_give_its_text(
    documents: st.SearchStrategy[Document], data: st.DataObject
):
    document = data.draw(documents)
    written = to_brat(document)
    assert written.splitlines() == written.split("\n")[:-1]
    identifiers = [line.partition("\t")[0] for line in written.splitlines()]
    assert len(set(identifiers)) == len(identifiers)
    for line in written.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        if match["offsets"]:
            fragments = [tuple(map(int, piece.split())) for piece in match["offsets"].split(";")]
            assert fragments == sorted(fragments)
            assert " ".join(document.text[start:end] for start, end in fragments) == match["text"]
        else:
            assert set(re.findall(r"T\d+", line)) <= set(identifiers)
