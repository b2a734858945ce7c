"""Repair gives valid tags, keeps what was valid, and reads broken tags as conlleval does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.errors import LabelError
from seqmtl.labels.repair import Policy, repaired, violations
from seqmtl.labels.schemes import Scheme, lenient_spans, spans_of

TAGS = ["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in ("X", "C-X"))]


@pytest.mark.parametrize("scheme", list(Scheme))
@given(tags=st.lists(st.sampled_from(TAGS), max_size=10))
def test_repaired_tags_are_valid_and_keep_the_lenient_spans(scheme: Scheme, tags: list[str]) -> None:
    mended = repaired(tags, scheme=scheme)
    assert violations(mended, scheme=scheme) == []
    assert spans_of(mended, scheme=scheme) == lenient_spans(tags)
    assert repaired(mended, scheme=scheme) == mended


@pytest.mark.parametrize("scheme", list(Scheme))
@given(tags=st.lists(st.sampled_from(TAGS), max_size=6))
def test_exactly_the_valid_tags_come_back_unchanged(scheme: Scheme, tags: list[str]) -> None:
    assert (repaired(tags, scheme=scheme) == tags) == (violations(tags, scheme=scheme) == [])


@pytest.mark.parametrize(
    ("scheme", "tags", "broken", "mended"),
    [
        (Scheme.BIO, ["I-X", "I-X", "O", "I-Y"], [0, 3], ["B-X", "I-X", "O", "B-Y"]),
        (Scheme.BIO, ["B-X", "I-Y", "I-Y"], [1], ["B-X", "B-Y", "I-Y"]),
        (Scheme.BIO, ["S-X", "O", "B-X", "E-X"], [0, 3], ["B-X", "O", "B-X", "I-X"]),
        (Scheme.BIO, ["S-X", "I-X"], [0, 1], ["B-X", "B-X"]),
        (Scheme.IOB1, ["E-X", "B-X"], [0, 1], ["I-X", "B-X"]),
        (Scheme.IOB1, ["B-X", "I-X", "O"], [0], ["I-X", "I-X", "O"]),
        (Scheme.BIOES, ["B-X", "O", "I-X", "E-X"], [1, 2], ["S-X", "O", "B-X", "E-X"]),
        (Scheme.BIOES, ["O", "B-X", "I-X"], [2], ["O", "B-X", "E-X"]),
        (Scheme.BIOES, ["I-X"], [0], ["S-X"]),
    ],
)
def test_violations_and_repairs_by_hand(scheme: Scheme, tags: list[str], broken: list[int], mended: list[str]) -> None:
    assert violations(tags, scheme=scheme) == broken
    assert repaired(tags, scheme=scheme) == mended


def test_what_is_no_tag_cannot_be_repaired() -> None:
    with pytest.raises(LabelError, match="'NOUN' is not a span tag"):
        repaired(["O", "NOUN"], scheme=Scheme.BIO)


def test_the_policies_are_the_words_of_a_recipe() -> None:
    assert [Policy("error"), Policy("repair")] == list(Policy)
