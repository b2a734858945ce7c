import time

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from seqmtl.documents.words import words

PIECES = st.sampled_from(
    [
        *"aZéß.,!?'’\"-_/@#|=\\()[]&%$0123…—–、。！？؟।",
        *" \t\n\r\x0b\x1c\x85\u00a0\u2028\u200b\u3000",
        *"\u0301\u200d\u200c\ufe0f\u20e3\ufeff\u200e\u200f\u00ad\u2060\x00\x1b\u0600🇩🇪👨👩👧👍🏽❤",
        *"שלוםمرحبانमस्तेสวัสดี我爱北京한글각",
        *["don't", "can’t", "Mr.", "U.S.", "http://", "www.", "e.g.", "a@b.c", "...", "\r\n", "O'B", "\ud800"],
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


def is_space(character: str) -> bool:
    return character.isspace() or character == "\u200b"


@given(TEXTS)
@example("a\x1cb\x85c\u200bd\u2029e")
@example("\u0600 \u0301x")
def test_every_visible_character_is_in_exactly_one_word_and_no_space_is(text: str):
    places = [place for start, end in words(text) for place in range(start, end)]
    assert places == [place for place, character in enumerate(text) if not is_space(character)]
    assert all(start < end for start, end in words(text))


@given(TEXTS)
def test_no_perceived_character_is_cut(text: str):
    edges = {place for span in words(text) for place in span}
    for cluster in regex.finditer(r"\X", text):
        visible = [place for place in range(*cluster.span()) if not is_space(text[place])]
        inner = {place for place in visible if place - 1 in visible}
        assert not inner & edges, (text, cluster)


def test_every_character_of_the_basic_plane_is_kept():
    text = " ".join(map(chr, range(0x10000)))
    places = [place for start, end in words(text) for place in range(start, end)]
    assert places == [place for place, character in enumerate(text) if not is_space(character)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't, can’t; WON'T!", ["I", "do", "n't", ",", "ca", "n’t", ";", "WO", "N'T", "!"]),
        ("It's Anna's, they'll", ["It", "'s", "Anna", "'s", ",", "they", "'ll"]),
        ("a well-known snake_case", ["a", "well", "-", "known", "snake", "_", "case"]),
        ("McDonald iPhone O'Brien", ["McDonald", "iPhone", "O'Brien"]),
        ("end.Start", ["end", ".", "Start"]),
        ('"Go!" (he said)', ['"', "Go", "!", '"', "(", "he", "said", ")"]),
        ("“Go” «ja»", ["“", "Go", "”", "«", "ja", "»"]),
        ("and/or 24/7 1/2", ["and", "/", "or", "24/7", "1/2"]),
        ("what?!No!!! a--b c—d ...", ["what", "?!", "No", "!!!", "a", "--", "b", "c", "—", "d", "..."]),
        ("3,000 $5.00 10%", ["3,000", "$", "5.00", "10", "%"]),
        ("see http://foo.com/a_b-c?x=1,y.", ["see", "http://foo.com/a_b-c?x=1,y", "."]),
        ("(www.foo-bar.org/x/)", ["(", "www.foo-bar.org/x/", ")"]),
        ("mail a.b-c_d@ex-ample.co.uk!", ["mail", "a.b-c_d@ex-ample.co.uk", "!"]),
        ("👨‍👩‍👧😀 good👍🏽 🇩🇪🇫🇷 1️⃣", ["👨‍👩‍👧", "😀", "good", "👍🏽", "🇩🇪", "🇫🇷", "1️⃣"]),
        ("cafe\u0301, नमस्ते", ["cafe\u0301", ",", "नमस्ते"]),
        ("שלום, עולם!", ["שלום", ",", "עולם", "!"]),
        ("مرحبا، بالعالم؟", ["مرحبا", "،", "بالعالم", "؟"]),
        ("a\r\nb", ["a", "b"]),
        ("สวัสดี\u200bครับ", ["สวัสดี", "ครับ"]),
        ("\ufeffHi \u200f שלום\u200f.", ["\ufeffHi", "\u200f", "שלום\u200f", "."]),
        ("co\u00adop", ["co\u00adop"]),
        ("我爱北京。你呢？", ["我爱北京", "。", "你呢", "？"]),
        ("", []),
        (" \t\r\n\u200b\u00a0", []),
    ],
)
def test_words(text: str, expected: list[str]):
    assert cut(text) == expected


@pytest.mark.parametrize(
    "unit", ["a", "-a", "a'", "aB", "a@", "a.", "www.", "http://", "(", "\u0301", "é", "1/", "n't", "A's-"]
)
def test_a_word_of_many_characters_takes_linear_time(unit: str):
    def seconds(repeats: int) -> float:
        started = time.process_time()
        found = words(unit * repeats)
        assert (found[0][0], found[-1][1]) == (0, len(unit) * repeats)
        return time.process_time() - started

    # Sixteen times the text; were the time quadratic, it would take 256 times as long.
    short, long = min(seconds(2_500) for _ in range(3)), seconds(40_000)
    assert long < 0.1 + 80 * short


def test_a_word_of_20000_letters_is_one_word():
    assert words("a" * 20_000) == [(0, 20_000)]
