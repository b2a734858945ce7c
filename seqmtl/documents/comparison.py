"""What a prediction got wrong: spans or arguments of one sentence, paired with those of the gold standard."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from seqmtl.documents.document import FrameArgument


class Verdict(StrEnum):
    """How a predicted argument (or span) relates to the gold one that it was paired with."""

    RIGHT = "right"
    LABEL = "wrong label"
    EXTENT = "wrong extent"
    BOTH = "wrong label and extent"
    MISSED = "missed"
    SPURIOUS = "spurious"


@dataclass(frozen=True)
class Pair:
    """A gold argument and the predicted one in its place; one of the two is None when it was missed or is spurious."""

    verdict: Verdict
    gold: FrameArgument | None
    predicted: FrameArgument | None


def pairs(gold: Sequence[FrameArgument], predicted: Sequence[FrameArgument]) -> list[Pair]:
    """Pair every argument with at most one of the other side, the closest likeness first, in the order of the text.

    Likeness, from close to far: same words and label, same words, same label and some words in common,
    some words in common.
    """
    left, right = list(gold), list(predicted)
    found: list[Pair] = []
    for verdict in (Verdict.RIGHT, Verdict.LABEL, Verdict.EXTENT, Verdict.BOTH):
        for one in list(left):
            others = [other for other in right if _verdict(one, other) is verdict]
            if others:
                other = max(others, key=partial(_overlap, one))
                found.append(Pair(verdict, one, other))
                left.remove(one)
                right.remove(other)
    found += [Pair(Verdict.MISSED, one, None) for one in left]
    found += [Pair(Verdict.SPURIOUS, None, other) for other in right]
    return sorted(found, key=_place)


def _verdict(gold: FrameArgument, predicted: FrameArgument) -> Verdict | None:
    words, others = _words(gold), _words(predicted)
    same_label = gold.label == predicted.label
    if words == others:
        return Verdict.RIGHT if same_label else Verdict.LABEL
    if words & others:
        return Verdict.EXTENT if same_label else Verdict.BOTH
    return None


def _overlap(gold: FrameArgument, predicted: FrameArgument) -> int:
    return len(_words(gold) & _words(predicted))


def _words(argument: FrameArgument) -> set[int]:
    return {word for piece in argument.pieces for word in range(piece.start_token, piece.end_token)}


def _place(pair: Pair) -> int:
    argument = pair.gold or pair.predicted
    assert argument is not None, "a pair has a side"
    return argument.pieces[0].start_token
