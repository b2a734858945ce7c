import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from seqmtl.documents.word_rows import WordRows

LETTERS = st.text(st.sampled_from("ab我é"), min_size=1, max_size=6)


def lines(columns: list[tuple[str, ...]], width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(WordRows(columns))
    return capture.get().removesuffix("\n").split("\n")


def test_tags_stand_under_their_words_and_rows_are_parted_by_an_empty_line():
    columns = [("Anna", "PROPN"), ("saw", "VERB"), ("me", "PRON")]
    assert lines(columns, 80) == ["Anna   saw   me", "PROPN  VERB  PRON"]
    assert lines(columns, 11) == ["Anna   saw", "PROPN  VERB", "", "me", "PRON"]


def test_a_wide_character_takes_two_cells():
    assert lines([("我爱", "V"), ("b", "N")], 80) == ["我爱  b", "V     N"]


@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=20), st.integers(12, 40))
def test_no_line_is_too_wide_and_no_word_is_lost(columns: list[tuple[str, ...]], width: int):
    found = lines(columns, width)
    assert all(cell_len(line) <= width for line in found)
    assert [word for line in found[::3] for word in line.split()] == [word for word, _ in columns]
    assert [tag for line in found[1::3] for tag in line.split()] == [tag for _, tag in columns]


@pytest.mark.parametrize("length", [30, 20_000])
def test_a_word_wider_than_the_terminal_is_folded(length: int):
    found = lines([("a" * length, "X")], 20)
    assert found == [*["a" * 20] * (length // 20), *(["a" * (length % 20)] if length % 20 else []), "X"]
