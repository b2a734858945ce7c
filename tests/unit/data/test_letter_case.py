from hypothesis import given
from hypothesis import strategies as st

from seqmtl.batch import LetterCase
from seqmtl.data.indexing import index_letter_cases
from seqmtl.data.letter_case import letter_case


def test_words_of_each_kind():
    kinds = {
        LetterCase.LOWER: ["dog", "don't", "e-mail", "straße"],
        LetterCase.CAPITAL: ["I", "É"],
        LetterCase.UPPER: ["NATO", "U.S.", "B2B"],
        LetterCase.TITLE: ["Anna", "O'brien", "Élan"],
        LetterCase.MIXED: ["iPhone", "McDonald", "O'Brien", "\u0634"],
        LetterCase.DIGITS: ["1990", "3.5", "10%"],
        LetterCase.OTHER: ["!", "...", "\U0001f600", "\u200b"],
    }
    for kind, words in kinds.items():
        assert {word: letter_case(word) for word in words} == dict.fromkeys(words, kind)


@given(st.text())
def test_every_word_has_a_case_and_none_is_padding(word: str):
    assert letter_case(word) is not LetterCase.PADDING


def test_padding_is_zero_and_empty_sentences_are_legal():
    assert index_letter_cases([["Anna", "met", "I"], [], ["NATO"]]).tolist() == [[4, 1, 2], [0, 0, 0], [3, 0, 0]]
    assert index_letter_cases([[]]).shape == (1, 0)
