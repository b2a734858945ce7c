"""Spans to BIO, and the place of a tag that breaks its scheme."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.data.canonical import filled, recognised, to_bio
from seqmtl.data.readers.record import Record
from seqmtl.errors import DataError
from seqmtl.labels.repair import Policy
from seqmtl.labels.schemes import Scheme, Span, lenient_spans, spans_of, tags_of


def record(tags: list[str]) -> Record:
    row = {"id": "a", "tokens": ["w"] * len(tags), "ner_tags": tags}
    return Record(row, "f.txt", 10, list(range(10, 10 + len(tags))))


def bio(tags: list[str], scheme: Scheme, policy: Policy = Policy.ERROR) -> list[str]:
    return to_bio(record(tags), corpus="c", split="train", schemes={"ner_tags": scheme}, policy=policy)["ner_tags"]


@st.composite
def spans_and_length(draw: st.DrawFn) -> tuple[list[Span], int]:
    cuts = sorted(draw(st.sets(st.integers(0, 12), max_size=8)))
    pieces = [Span(start, end, draw(st.sampled_from("XY"))) for start, end in pairwise(cuts)]
    return [piece for piece in pieces if draw(st.booleans())], 12


@given(spans_and_length(), st.sampled_from(Scheme), st.sampled_from(Policy))
def test_every_scheme_comes_out_as_bio_with_the_same_spans(
    drawn: tuple[list[Span], int], scheme: Scheme, policy: Policy
) -> None:
    spans, length = drawn
    written = tags_of(spans, length=length, scheme=scheme)
    assert spans_of(bio(written, scheme, policy), scheme=Scheme.BIO) == spans
    if spans:
        assert bio(written, recognised([record(written)], corpus="c", layer="ner_tags")) == bio(written, scheme)


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "I-Y", "E-X", "S-Y"])))
def test_repair_reads_as_conlleval_does(tags: list[str]) -> None:
    assert spans_of(bio(tags, Scheme.BIO, Policy.REPAIR), scheme=Scheme.BIO) == lenient_spans(tags)


@pytest.mark.parametrize(
    ("tags", "line"), [(["I-PER", "O"], 10), (["O", "B-PER", "I-LOC"], 12), (["O", "PER"], 11), (["O", "O", "S-X"], 12)]
)
def test_a_broken_tag_is_named_with_its_own_line(tags: list[str], line: int) -> None:
    with pytest.raises(DataError) as caught:
        bio(tags, Scheme.BIO)
    expected = f"corpus 'c', split 'train', row 'a' (f.txt:{line}): 'ner_tags', "
    assert str(caught.value).startswith(expected)
    assert repr(tags[line - 10]) in str(caught.value)


def test_frames_must_be_bio_too() -> None:
    frames = [{"predicate": 0, "sense": "", "tags": ["B-V", "I-ARG1"]}]
    source = Record({"id": "a", "tokens": ["x", "y"], "srl_frames": frames}, "f.jsonl", 3)
    with pytest.raises(DataError, match=r"f\.jsonl:3\): 'srl_frames', .*'I-ARG1'"):
        to_bio(source, corpus="c", split="train", schemes={}, policy=Policy.ERROR)
    row = to_bio(source, corpus="c", split="train", schemes={}, policy=Policy.REPAIR)
    assert row["srl_frames"][0]["tags"] == ["B-V", "B-ARG1"]
    assert frames[0]["tags"] == ["B-V", "I-ARG1"], "the record must stay as it was read"


def test_frames_are_empty_only_where_the_corpus_says_so() -> None:
    source = Record({"id": "a", "tokens": ["x"]}, "f.jsonl", 3)
    assert filled(source, corpus="c", split="s", empty_when_absent=["srl_frames"]).row["srl_frames"] == []
    assert "srl_frames" not in filled(source, corpus="c", split="s", empty_when_absent=[]).row
