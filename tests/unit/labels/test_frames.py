"""Frames, and the arguments that the official CoNLL-2005 scorer counts in them."""

from hypothesis import given
from hypothesis import strategies as st

from seqmtl.labels.frames import Argument, Frame, arguments
from seqmtl.labels.schemes import lenient_spans

TAGS = ["O", *(f"{prefix}-{label}" for prefix in "BI" for label in ("A", "C-A", "R-A", "B", "C-B", "V"))]


def brackets(tags: list[str]) -> list[Argument]:
    """The rule stated the other way round: each piece looks for its head, then the pieces are grouped by head."""
    spans = lenient_spans(tags)
    heads: list[int] = []
    for index, span in enumerate(spans):
        wanted = span.label[2:] if span.label[:2] == "C-" else None
        earlier = [i for i in range(index) if heads[i] == i and spans[i].label in (wanted, f"C-{wanted}")]
        heads.append(earlier[-1] if wanted and earlier else index)
    found = []
    for head in sorted(set(heads)):
        label = spans[head].label
        label = label[2:] if label[:2] == "C-" else label
        pieces = tuple((spans[i].start, spans[i].end) for i in range(len(spans)) if heads[i] == head)
        if label != "V":
            found.append(Argument(label, pieces))
    return found


@given(tags=st.lists(st.sampled_from(TAGS), max_size=12))
def test_sr3_arguments_equal_an_independent_statement_of_the_rule(tags: list[str]) -> None:
    assert arguments(tags) == brackets(tags)


@given(tags=st.lists(st.sampled_from(TAGS), max_size=12))
def test_sr3_every_word_outside_v_is_in_one_argument(tags: list[str]) -> None:
    covered = [word for argument in arguments(tags) for piece in argument.pieces for word in range(*piece)]
    assert len(covered) == len(set(covered))
    verbal = {index for index, tag in enumerate(tags) if tag == "O" or tag[2:] == "V"}
    assert set(covered) == set(range(len(tags))) - verbal


def test_sr3_a_continuation_joins_the_latest_argument_of_its_label() -> None:
    tags = ["B-ARG1", "I-ARG1", "B-V", "B-ARG1", "O", "B-C-ARG1", "I-C-ARG1"]
    assert arguments(tags) == [Argument("ARG1", ((0, 2),)), Argument("ARG1", ((3, 4), (5, 7)))]


def test_sr3_several_continuations_join_the_same_argument() -> None:
    tags = ["B-ARG1", "B-C-ARG1", "B-V", "B-C-ARG1"]
    assert arguments(tags) == [Argument("ARG1", ((0, 1), (1, 2), (3, 4)))]


def test_sr3_a_continuation_without_its_argument_becomes_one() -> None:
    tags = ["B-C-ARG1", "B-V", "B-ARG0", "B-C-ARG1", "B-ARG1"]
    assert arguments(tags) == [
        Argument("ARG1", ((0, 1), (3, 4))),
        Argument("ARG0", ((2, 3),)),
        Argument("ARG1", ((4, 5),)),
    ]


def test_sr3_a_reference_is_an_argument_of_its_own() -> None:
    tags = ["B-ARG0", "B-R-ARG0", "B-V", "B-C-ARG0", "B-C-R-ARG0"]
    assert arguments(tags) == [Argument("ARG0", ((0, 1), (3, 4))), Argument("R-ARG0", ((1, 2), (4, 5)))]


def test_sr3_the_verb_and_its_continuation_are_left_out() -> None:
    assert arguments(["B-ARG0", "B-V", "B-ARG1", "B-C-V"]) == [Argument("ARG0", ((0, 1),)), Argument("ARG1", ((2, 3),))]
    assert arguments(["B-C-V", "O"]) == []


def test_sr3_nested_and_crossing_arguments_come_by_first_word() -> None:
    nested = ["B-ARG1", "B-ARG0", "B-V", "B-C-ARG0", "B-C-ARG1"]
    assert arguments(nested) == [Argument("ARG1", ((0, 1), (4, 5))), Argument("ARG0", ((1, 2), (3, 4)))]
    crossing = ["B-ARG1", "B-ARG0", "B-V", "B-C-ARG1", "B-C-ARG0"]
    assert arguments(crossing) == [Argument("ARG1", ((0, 1), (3, 4))), Argument("ARG0", ((1, 2), (4, 5)))]


def test_sr3_one_long_argument_is_not_two_adjacent_pieces() -> None:
    assert arguments(["B-ARG1", "I-ARG1"]) != arguments(["B-ARG1", "B-C-ARG1"])


def test_sr3_broken_tags_are_read_leniently() -> None:
    assert arguments(["I-ARG0", "B-V", "I-ARG1", "I-ARG1"]) == [
        Argument("ARG0", ((0, 1),)),
        Argument("ARG1", ((2, 4),)),
    ]


def test_sr4_no_tags_no_arguments() -> None:
    assert arguments([]) == []
    assert arguments(["O", "B-V"]) == []


def test_a_frame_survives_its_row() -> None:
    row = {"predicate": 1, "sense": "go.01", "tags": ["B-ARG0", "B-V"]}
    frame = Frame.from_row(row)
    assert frame == Frame(predicate=1, sense="go.01", tags=("B-ARG0", "B-V"))
    assert frame.to_row() == row
