import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.documents.segment import segment
from seqmtl.documents.words import words

PIECES = st.sampled_from(
    [
        *["Anna", "he", "Mr", "U.S", "no", "5", "X", "May", "我爱", "नमस्ते", "مرحبا", "(", ")", '"', "'", ",", ";", "-"],
        *[".", ".", "!", "?", "...", "!!", "?!", "。", "؟", "।", "\u200f", "\ufeff", "\x00", "👍"],
        *[" ", " ", " ", "\n", "\r\n", "\n\n", "\r\n\t\r\n", "\u200b", "\u2029"],
    ]
)


def cut(text: str) -> list[list[str]]:
    return [[text[start:end] for start, end in sentence] for sentence in segment(text)]


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
def test_sentences_hold_all_words_in_order_but_for_joined_full_stops(text: str):
    sentences = segment(text)
    assert all(sentences)
    found = [word for sentence in sentences for word in sentence]
    expected = words(text)
    covered = [place for start, end in found for place in range(start, end)]
    assert covered == [place for start, end in expected for place in range(start, end)]
    for start, end in set(found) - set(expected):
        assert text[end - 1] == "."
        assert (start, end - 1) in expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\n\t\u200b", []),
        ("Hello", ["Hello"]),
        ("He left. She stayed.", ["He left .", "She stayed ."]),
        ("Is it? Yes! Wait... Good.", ["Is it ?", "Yes !", "Wait ...", "Good ."]),
        ("Mr. Smith of Acme Inc. in the U.S. came.", ["Mr. Smith of Acme Inc. in the U.S. came ."]),
        ("At 5 p.m. we left, e.g. home.", ["At 5 p.m. we left , e.g. home ."]),
        ('"Go." He went.', ['" Go . "', "He went ."]),
        ("It is 3.5 or No. 5 of v1.2.", ["It is 3.5 or No. 5 of v1.2 ."]),
        ("See http://a.b/c.html?d. Then go.", ["See http://a.b/c.html?d .", "Then go ."]),
        ("A title\n\nThe text\ngoes on.", ["A title", "The text goes on ."]),
        ("A title\r\n \r\nThe text\r\ngoes on.", ["A title", "The text goes on ."]),
        ("No!!! Really?! Yes.", ["No !!!", "Really ?!", "Yes ."]),
        ("مرحبا بالعالم؟ نعم.", ["مرحبا بالعالم ؟", "نعم ."]),
        ("שלום עולם. כן.", ["שלום עולם .", "כן ."]),
        ("我爱北京。你呢？好", ["我爱北京 。", "你呢 ？", "好"]),
        ("वह आया। वह गया।", ["वह आया ।", "वह गया ।"]),
        ("Good 👍🏽. Bye 👨‍👩‍👧!", ["Good 👍🏽 .", "Bye 👨‍👩‍👧 !"]),
    ],
)
def test_sentences(text: str, expected: list[str]):
    assert [" ".join(sentence) for sentence in cut(text)] == expected


def test_5000_words_without_a_stop_are_one_sentence():
    assert [len(sentence) for sentence in segment("word " * 5_000)] == [5_000]


def test_many_short_paragraphs_are_as_many_sentences():
    assert len(segment("x\n\n" * 20_000)) == 20_000
