"""Windows: ownership is a partition, nothing overflows, nothing is lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.data.alignment import Window, windows


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Piece counts, a capacity that each of them fits, and an overlap, which may be larger than the capacity."""
    capacity = draw(st.integers(1, 24))
    counts = draw(st.lists(st.integers(1, capacity), max_size=80))
    return counts, capacity, draw(st.integers(0, 30))


@given(sentences())
def test_ownership_is_a_partition_of_the_words(case: tuple[list[int], int, int]):
    counts, capacity, overlap = case
    owned = [
        word
        for window in windows(counts, capacity=capacity, overlap=overlap)
        for word in range(window.owned_start, window.owned_stop)
    ]
    assert owned == list(range(len(counts)))


@given(sentences())
def test_each_window_fits_and_owns_some_of_its_own_words(case: tuple[list[int], int, int]):
    counts, capacity, overlap = case
    for window in windows(counts, capacity=capacity, overlap=overlap):
        assert sum(counts[window.start : window.stop]) <= capacity
        assert window.start <= window.owned_start < window.owned_stop <= window.stop


@given(sentences())
def test_windows_are_as_long_as_fits_and_share_no_more_than_the_overlap(case: tuple[list[int], int, int]):
    counts, capacity, overlap = case
    cut = windows(counts, capacity=capacity, overlap=overlap)
    for window, following in pairwise(cut):
        assert sum(counts[window.start : window.stop + 1]) > capacity
        assert window.start < following.start <= window.stop < following.stop
        assert sum(counts[following.start : window.stop]) <= min(overlap, capacity // 2)


@given(st.integers(4, 40), st.integers(0, 40), st.integers(1, 300))
def test_words_of_one_piece_share_the_whole_overlap_and_have_context_on_both_sides(capacity: int, overlap: int, n: int):
    shared = min(overlap, capacity // 2)
    cut = windows([1] * n, capacity=capacity, overlap=overlap)
    for window, following in pairwise(cut):
        assert window.stop - following.start == shared
    for window in cut:
        if window.start > 0:
            assert window.owned_start - window.start >= shared // 2
        if window.stop < n:
            assert window.stop - window.owned_stop >= shared // 2


def test_a_worked_example():
    # Ten words of one piece, six to a window, two shared: words 4 and 5 stand in both windows, one belongs to each.
    assert windows([1] * 10, capacity=6, overlap=2) == [Window(0, 6, 0, 5), Window(4, 10, 5, 10)]


def test_a_sentence_that_fits_is_one_window():
    assert windows([2, 3, 1], capacity=6, overlap=4) == [Window(0, 3, 0, 3)]


def test_an_empty_sentence_has_no_window():
    assert windows([], capacity=6, overlap=4) == []


def test_words_as_long_as_the_window_stand_alone():
    assert windows([5, 5, 5], capacity=5, overlap=3) == [Window(0, 1, 0, 1), Window(1, 2, 1, 2), Window(2, 3, 2, 3)]


@pytest.mark.parametrize("count", [0, 7])
def test_a_word_that_no_window_holds_is_a_mistake_of_the_caller(count: int):
    with pytest.raises(AssertionError):
        windows([1, count], capacity=6, overlap=2)
