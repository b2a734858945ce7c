from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents.comparison import Verdict, pairs
from seqmtl.documents.document import FrameArgument, TypedSpan


def argument(label: str, *pieces: tuple[int, int]) -> FrameArgument:
    spans = tuple(TypedSpan(label, start, end, start, end, "x" * (end - start)) for start, end in pieces)
    return FrameArgument(label, spans, "x")


ARGUMENTS = st.builds(
    lambda label, start, length: argument(label, (start, start + length)),
    st.sampled_from("XY"),
    st.integers(0, 5),
    st.integers(1, 3),
)


def verdicts(gold: list[FrameArgument], predicted: list[FrameArgument]) -> list[Verdict]:
    return [pair.verdict for pair in pairs(gold, predicted)]


def test_each_verdict():
    assert verdicts([argument("X", (0, 2))], [argument("X", (0, 2))]) == [Verdict.RIGHT]
    assert verdicts([argument("X", (0, 2))], [argument("Y", (0, 2))]) == [Verdict.LABEL]
    assert verdicts([argument("X", (0, 2))], [argument("X", (1, 2))]) == [Verdict.EXTENT]
    assert verdicts([argument("X", (0, 2))], [argument("Y", (1, 2))]) == [Verdict.BOTH]
    assert verdicts([argument("X", (0, 2))], [argument("X", (2, 3))]) == [Verdict.MISSED, Verdict.SPURIOUS]


def test_a_missing_piece_is_a_wrong_extent():
    assert verdicts([argument("X", (0, 1), (3, 4))], [argument("X", (0, 1))]) == [Verdict.EXTENT]


def test_the_closest_likeness_is_paired_first():
    gold = argument("X", (0, 4))
    poor, good = argument("X", (0, 1)), argument("X", (1, 4))
    found = pairs([gold], [poor, good])
    assert [(pair.verdict, pair.predicted) for pair in found] == [(Verdict.EXTENT, good), (Verdict.SPURIOUS, poor)]


@given(st.lists(ARGUMENTS, max_size=5), st.lists(ARGUMENTS, max_size=5))
def test_every_argument_is_in_one_pair_and_right_ones_are_the_intersection(
    gold: list[FrameArgument], predicted: list[FrameArgument]
):
    found = pairs(gold, predicted)
    assert Counter(pair.gold for pair in found if pair.gold) == Counter(gold)
    assert Counter(pair.predicted for pair in found if pair.predicted) == Counter(predicted)
    right = Counter(pair.gold for pair in found if pair.verdict is Verdict.RIGHT)
    assert right == Counter(gold) & Counter(predicted)


@given(st.lists(ARGUMENTS, max_size=5))
def test_against_nothing_all_is_missed_and_nothing_against_it_all_is_spurious(found: list[FrameArgument]):
    assert verdicts(found, []) == [Verdict.MISSED] * len(found)
    assert verdicts([], found) == [Verdict.SPURIOUS] * len(found)
