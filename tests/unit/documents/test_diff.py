import pytest
from rich.console import Console

from seqmtl.documents import Annotation, Frame, sentence_diff

TOKENS = "Anna gave Ben the book in Paris .".split()
GOLD = Annotation(
    tags={"upos": "PROPN VERB PROPN DET NOUN ADP PROPN PUNCT".split()},
    span_tags={"ner": "B-PER O B-PER O O O B-LOC O".split()},
    frames={"srl": [Frame(1, "give.01", tuple("B-ARG0 B-V B-ARG2 B-ARG1 I-ARG1 B-ARGM-LOC I-ARGM-LOC O".split()))]},
)


def diff(predicted: Annotation, *, gold: Annotation = GOLD) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(sentence_diff(TOKENS, gold=gold, predicted=predicted))
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def diff_frames(gold: list[Frame], predicted: list[Frame]) -> list[str]:
    return diff(Annotation(frames={"srl": predicted}), gold=Annotation(frames={"srl": gold}))


def test_a_perfect_prediction_is_three_lines():
    assert diff(GOLD) == ["upos  8 of 8 right", "ner   3 of 3 right", "srl   gave  4 of 4 right"]


def test_wrong_tags_are_listed_with_their_neighbours():
    tags = {"upos": "PROPN VERB PROPN DET VERB ADP PROPN PUNCT".split()}
    assert diff(Annotation(tags=tags)) == [
        "upos  7 of 8 right",
        "      book  NOUN -> VERB  gave Ben the book in Paris .",
    ]


def test_wrong_spans_stand_beside_those_they_replace():
    tags = {"ner": "B-PER O B-ORG O B-MISC O O O".split()}
    assert diff(Annotation(span_tags=tags)) == [
        "ner  1 of 3 right",
        "     gold       [PER Anna] gave [PER Ben] the book in [LOC Paris] .",
        "     predicted  [PER Anna] gave [ORG Ben] the [MISC book] in Paris .",
        "     wrong label  [PER Ben] -> [ORG Ben]",
        "     spurious     [MISC book]",
        "     missed       [LOC Paris]",
    ]


def test_frames_are_set_side_by_side_by_predicate():
    found = [
        Frame(1, "", tuple("B-ARG0 B-V B-ARG2 B-ARG1 I-ARG1 I-ARG1 I-ARG1 O".split())),
        Frame(4, "", tuple("O O O O B-V O O O".split())),
    ]
    assert diff(Annotation(frames={"srl": found})) == [
        "srl  gave  2 of 4 right",
        "           gold       [ARG0 Anna] gave [ARG2 Ben] [ARG1 the book] [ARGM-LOC in",
        "                      Paris]",
        "           predicted  [ARG0 Anna] gave [ARG2 Ben] [ARG1 the book in Paris]",
        "           wrong extent  [ARG1 the book] -> [ARG1 the book in Paris]",
        "           missed        [ARGM-LOC in Paris]",
        "     book  spurious predicate",
    ]


def test_a_predicate_that_was_not_found():
    assert diff(Annotation(frames={"srl": []})) == ["srl  gave  missed predicate"]


def test_frames_on_one_predicate_are_paired_in_their_order():
    right = Frame(1, "", tuple("B-ARG0 B-V O O O O O O".split()))
    wrong = Frame(1, "", tuple("B-ARG1 B-V O O O O O O".split()))
    assert diff_frames([right, right], [right, wrong]) == [
        "srl  gave  1 of 1 right",
        "     gave  0 of 1 right",
        "           gold       [ARG0 Anna] gave",
        "           predicted  [ARG1 Anna] gave",
        "           wrong label  [ARG0 Anna] -> [ARG1 Anna]",
    ]
    assert diff_frames([right, right], [right]) == ["srl  gave  1 of 1 right", "     gave  missed predicate"]
    assert diff_frames([right], [right, right]) == ["srl  gave  1 of 1 right", "     gave  spurious predicate"]


@pytest.mark.parametrize("tokens", [["", "a b", "\x1b"], [""]])
def test_odd_words_of_a_corpus_are_shown(tokens: list[str]):
    gold = Annotation(tags={"upos": ["X"] * len(tokens)}, span_tags={"ner": ["B-LOC"] * len(tokens)})
    predicted = Annotation(tags={"upos": ["Y"] * len(tokens)}, span_tags={"ner": ["O"] * len(tokens)})
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(sentence_diff(tokens, gold=gold, predicted=predicted))
    assert capture.get().count("X -> Y") == len(tokens)
    assert "\x1b" not in capture.get()
