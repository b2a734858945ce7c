import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from seqmtl.documents.brackets import bracketed, colour, excerpt, shown
from seqmtl.documents.document import TypedSpan


def plain(renderable: object, *, width: int = 200) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def span(text: str, label: str, start: int, end: int) -> TypedSpan:
    return TypedSpan(label, 0, 1, start, end, text[start:end])


def test_brackets_stand_around_the_characters_of_the_spans():
    text = "In: Anna, Ben\nand Cleo left."
    spans = [span(text, "PER", 4, 8), span(text, "PER", 10, 13), span(text, "PER", 18, 22)]
    assert plain(bracketed(text, extent=(4, 28), spans=spans)) == "[PER Anna], [PER Ben] and [PER Cleo] left."


def test_an_excerpt_leaves_out_words_between_but_not_commas():
    text = "Yesterday Anna, Ben's old friend, finally slept at home."
    spans = [span(text, "A0", 10, 32), span(text, "LOC", 48, 55)]
    line = plain(excerpt(text, predicate=(42, 47), spans=spans))
    assert line == "[A0 Anna, Ben's old friend] … slept [LOC at home]"


def test_a_predicate_inside_an_argument_is_not_repeated():
    text = "Anna slept."
    assert plain(excerpt(text, predicate=(5, 10), spans=[span(text, "A0", 0, 10)])) == "[A0 Anna slept]"


def test_a_label_and_its_first_word_are_never_on_two_lines():
    text = "one two three four"
    spans = [span(text, "NUMBER", start, end) for start, end in ((0, 3), (4, 7), (8, 13), (14, 18))]
    for width in range(14, 70):
        lines = plain(bracketed(text, extent=(0, 18), spans=spans), width=width).split("\n")
        assert " ".join(lines) == "[NUMBER one] [NUMBER two] [NUMBER three] [NUMBER four]"
        assert not any(line.endswith("[NUMBER") for line in lines)


@given(st.text())
def test_nothing_that_is_shown_can_steer_the_terminal(text: str):
    seen = shown(text)
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in seen)
    assert seen.encode("utf-8").decode("utf-8") == seen


@pytest.mark.parametrize("label", ["PER", "ARGM-XYZ", "שם", "\ud800"])
def test_a_label_keeps_its_colour(label: str):
    assert colour(label) == colour(label)


def test_the_commonest_labels_differ_in_colour():
    for labels in (["PER", "ORG", "LOC", "MISC"], ["NP", "VP", "PP", "ADVP"], ["ARG0", "ARG1", "ARG2", "ARGM-TMP"]):
        assert len({colour(label) for label in labels}) == len(labels)
