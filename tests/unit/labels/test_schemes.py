"""Spans and tags: round trips, strictness by an independent oracle, recognition, and seqeval's reading."""

import re
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities, Token

from seqmtl.errors import LabelError
from seqmtl.labels.schemes import (
    Scheme,
    Span,
    convert,
    lenient_spans,
    recognise,
    spans_of,
    split_tag,
    tags_of,
    violations,
)

LABELS = ["PER", "ARG1", "C-ARG1", "ARGM-TMP"]
SCHEMES = list(Scheme)
PAIRS = list(product(SCHEMES, SCHEMES))


@st.composite
def sentences(draw: st.DrawFn) -> tuple[int, list[Span]]:
    """A sentence length and spans in it: runs of words, each under a label or under none."""
    runs = draw(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([None, *LABELS])), max_size=8))
    spans, start = [], 0
    for length, label in runs:
        if label is not None:
            spans.append(Span(start, start + length, label))
        start += length
    return start, spans


def tag_lists(prefixes: str) -> st.SearchStrategy[list[str]]:
    """Random tags, most of them broken."""
    tags = ["O", *(f"{prefix}-{label}" for prefix in prefixes for label in LABELS)]
    return st.lists(st.sampled_from(tags), max_size=12)


def is_valid(tags: tuple[str, ...], scheme: Scheme) -> bool:
    """An oracle that shares nothing with the code: a regular expression over the sentence, for the labels X and Y."""
    text = "".join(f"{tag}," for tag in tags)
    bio = "|".join(f"B-{x},(?:I-{x},)*" for x in "XY")
    bioes = "|".join(f"S-{x},|B-{x},(?:I-{x},)*E-{x}," for x in "XY")
    iob1 = "|".join(f"(?:I-{x},)+(?:B-{x},(?:I-{x},)*)*" for x in "XY")
    pattern = {Scheme.BIO: bio, Scheme.BIOES: bioes, Scheme.IOB1: iob1}[scheme]
    return re.fullmatch(f"(?:O,|{pattern})*", text) is not None


def short_tag_sequences(prefixes: str, longest: int) -> list[tuple[str, ...]]:
    tags = ["O", *(f"{prefix}-{label}" for prefix in prefixes for label in "XY")]
    return [sequence for length in range(longest + 1) for sequence in product(tags, repeat=length)]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(sentence=sentences())
def test_spans_survive_being_written_and_read(scheme: Scheme, sentence: tuple[int, list[Span]]) -> None:
    length, spans = sentence
    tags = tags_of(spans, length=length, scheme=scheme)
    assert len(tags) == length
    assert spans_of(tags, scheme=scheme) == spans
    assert lenient_spans(tags) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
@given(sentence=sentences(), seed=st.randoms())
def test_the_order_of_the_spans_does_not_matter(scheme: Scheme, sentence: tuple[int, list[Span]], seed: Random) -> None:
    length, spans = sentence
    shuffled = list(spans)
    seed.shuffle(shuffled)
    assert tags_of(shuffled, length=length, scheme=scheme) == tags_of(spans, length=length, scheme=scheme)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(sentence=sentences())
def test_conversion_keeps_the_spans(source: Scheme, target: Scheme, sentence: tuple[int, list[Span]]) -> None:
    length, spans = sentence
    tags = tags_of(spans, length=length, scheme=source)
    converted = convert(tags, source=source, target=target)
    assert converted == tags_of(spans, length=length, scheme=target)
    assert convert(converted, source=target, target=source) == tags


def test_conversion_by_hand() -> None:
    iob1 = ["I-X", "I-X", "B-X", "I-Y", "O", "I-X"]
    bio = ["B-X", "I-X", "B-X", "B-Y", "O", "B-X"]
    bioes = ["B-X", "E-X", "S-X", "S-Y", "O", "S-X"]
    written = {Scheme.IOB1: iob1, Scheme.BIO: bio, Scheme.BIOES: bioes}
    for source, target in PAIRS:
        assert convert(written[source], source=source, target=target) == written[target]


@pytest.mark.parametrize(("prefixes", "longest"), [("BI", 4), ("BIES", 3)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_strictness_equals_a_regular_expression_on_all_short_sequences(
    scheme: Scheme, prefixes: str, longest: int
) -> None:
    for tags in short_tag_sequences(prefixes, longest):
        valid = is_valid(tags, scheme)
        assert (violations(tags, scheme=scheme) == []) == valid, tags
        if valid:
            assert tags_of(spans_of(tags, scheme=scheme), length=len(tags), scheme=scheme) == list(tags)
        else:
            with pytest.raises(LabelError):
                spans_of(tags, scheme=scheme)


@pytest.mark.parametrize(("scheme", "theirs"), [(Scheme.IOB1, IOB1), (Scheme.BIO, IOB2), (Scheme.BIOES, IOBES)])
@given(sentence=sentences())
def test_the_strict_reading_equals_seqeval_strict(
    scheme: Scheme, theirs: type[Token], sentence: tuple[int, list[Span]]
) -> None:
    length, spans = sentence
    tags = tags_of(spans, length=length, scheme=scheme)
    (entities,) = Entities([tags], theirs).entities
    assert sorted(Span(found.start, found.end, found.tag) for found in entities) == spans_of(tags, scheme=scheme)


@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
def test_lenient_spans_equal_seqeval_default(prefixes: str) -> None:
    @given(tags=tag_lists(prefixes))
    def check(tags: list[str]) -> None:
        theirs = [Span(start, end + 1, label) for label, start, end in get_entities(tags)]
        assert lenient_spans(tags) == theirs

    check()


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["I-X"], [Span(0, 1, "X")]),
        (["O", "I-X", "I-X"], [Span(1, 3, "X")]),
        (["B-X", "I-Y"], [Span(0, 1, "X"), Span(1, 2, "Y")]),
        (["B-X", "I-X", "B-X"], [Span(0, 2, "X"), Span(2, 3, "X")]),
        (["B-C-ARG1", "I-C-ARG1", "I-ARG1"], [Span(0, 2, "C-ARG1"), Span(2, 3, "ARG1")]),
        (["B-X", "E-X", "E-X"], [Span(0, 2, "X"), Span(2, 3, "X")]),
        ([], []),
    ],
)
def test_lenient_spans_by_hand(tags: list[str], spans: list[Span]) -> None:
    assert lenient_spans(tags) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
@given(corpus=st.lists(sentences(), min_size=1, max_size=4))
def test_any_sound_corpus_with_a_span_is_recognised(scheme: Scheme, corpus: list[tuple[int, list[Span]]]) -> None:
    written = [tags_of(spans, length=length, scheme=scheme) for length, spans in corpus]
    has_spans = any(spans for _, spans in corpus)
    assert recognise(iter(written)) is (scheme if has_spans else Scheme.BIO)


def test_an_all_i_corpus_is_iob1() -> None:
    wikigold = [["I-MISC", "I-MISC", "O", "I-PER"], ["O", "I-ORG", "I-LOC"], ["I-LOC"]]
    assert recognise(wikigold) is Scheme.IOB1


def test_a_few_broken_sentences_do_not_change_the_scheme() -> None:
    sound = [["B-X", "I-X", "O", "B-X"]] * 10
    assert recognise([*sound, ["I-X", "O"], ["O", "I-X"]]) is Scheme.BIO
    assert recognise([["I-X", "O", "I-X"]] * 10 + [["O", "B-X"]]) is Scheme.IOB1


def test_a_broken_corpus_is_given_the_scheme_it_breaks_least() -> None:
    assert recognise([["B-X", "I-X", "E-X", "S-X", "I-X"], ["S-X", "B-X"]]) is Scheme.BIOES
    assert recognise([["I-X"], ["B-X"]]) is Scheme.BIO, "a tie"


def test_a_corpus_without_span_tags_is_refused() -> None:
    with pytest.raises(LabelError, match=r"'NOUN' is not a span tag.*without a scheme"):
        recognise([["O"], ["NOUN"]])


@pytest.mark.parametrize("tag", ["", "B", "B-", "-X", "X-PER", "b-PER", "BI-PER", "I_PER", "L-PER"])
def test_what_is_no_tag_is_refused_everywhere(tag: str) -> None:
    with pytest.raises(LabelError, match="not a span tag"):
        split_tag(tag)
    with pytest.raises(LabelError, match="not a span tag"):
        lenient_spans(["O", tag])
    with pytest.raises(LabelError, match="not a span tag"):
        violations([tag], scheme=Scheme.BIO)


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["I-PER", "O"], Scheme.BIO, "word 0: 'I-PER' may not stand at the start of the sentence in the scheme 'bio'"),
        (["B-LOC", "I-PER"], Scheme.BIO, "word 1: 'I-PER' may not stand after 'B-LOC' in the scheme 'bio'"),
        (["O", "E-PER"], Scheme.BIO, "word 1: 'E-PER' has a prefix that the scheme 'bio' lacks; allowed: O, B, I"),
        (["O", "B-PER"], Scheme.IOB1, "word 1: 'B-PER' may not stand after 'O' in the scheme 'iob1'"),
        (["B-PER", "O"], Scheme.BIOES, "word 1: 'O' may not stand after 'B-PER' in the scheme 'bioes'"),
        (["O", "B-PER"], Scheme.BIOES, "word 1: 'B-PER' leaves a span open at the end of the sentence"),
    ],
)
def test_an_error_names_the_word_the_tag_and_the_remedy(tags: list[str], scheme: Scheme, message: str) -> None:
    with pytest.raises(LabelError, match=f"^{re.escape(message)}.*'repair'$"):
        spans_of(tags, scheme=scheme)


@pytest.mark.parametrize(
    ("spans", "length"),
    [
        ([Span(0, 2, "X"), Span(1, 3, "Y")], 4),
        ([Span(0, 2, "X"), Span(0, 2, "Y")], 4),
        ([Span(2, 5, "X")], 4),
        ([Span(1, 1, "X")], 4),
        ([Span(-1, 1, "X")], 4),
    ],
)
def test_spans_that_tags_cannot_express_are_refused(spans: list[Span], length: int) -> None:
    with pytest.raises(LabelError, match=f"sentence of {length} words"):
        tags_of(spans, length=length, scheme=Scheme.BIO)
