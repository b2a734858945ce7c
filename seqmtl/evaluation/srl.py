"""Semantic role F1 by the rules of the CoNLL-2005 scorer ``srl-eval.pl`` (Carreras and Màrquez 2005; METHODS.md, 8).

The rules: every predicate is a proposition of its own and counts are summed over all of them; ``V`` does not count;
``C-X`` continues the latest preceding ``X``, and the argument is correct only if its role and all its pieces agree, so
that a mismatch is one false positive and one false negative; ``R-X`` is a role like any other.

Propositions are paired by the position of their predicate; a position that is given twice is paired in order. A gold
proposition that was not predicted loses all its arguments. A predicted proposition that gold lacks is skipped by the
official rule, hence ``srl_f1_official`` judges arguments on gold predicates; ``srl_f1_end_to_end``, which is ours,
counts the arguments of such a proposition as false positives.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TypeAlias

from seqmtl.errors import DataError
from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.evaluation.spans import span_items
from seqmtl.evaluation.tally import Counts, Item, check_same_number, sentence_counts, summed, tally, total
from seqmtl.labels import Frame, arguments

Pair: TypeAlias = tuple[Frame | None, Frame | None]


def frame_scores(gold: Sequence[Sequence[Frame]], predicted: Sequence[Sequence[Frame]]) -> TaskScore:
    """Score the arguments of the frames.

    Args:
        gold: the frames of every sentence; none is legal.
        predicted: the predicted frames of the same sentences.

    Returns:
        The scores ``srl_f1_official`` with its ``precision`` and ``recall``, ``srl_f1_end_to_end``, and ``span_f1``:
        conlleval's F1 over the flat tags of the same propositions as the official score, in which ``V``, ``C-X`` and
        ``R-X`` are span types of their own. The counts of each role are the official ones.

    Raises:
        DataError: if the two sides differ in their number of sentences, or two paired frames in their number of tags.
    """
    sentences = _paired(gold, predicted)
    per_label = summed(_official(pairs) for pairs in sentences)
    official = total(per_label)
    values = {
        "srl_f1_official": official.f1,
        "precision": official.precision,
        "recall": official.recall,
        "srl_f1_end_to_end": total(summed(_end_to_end(pairs) for pairs in sentences)).f1,
        "span_f1": total(summed(_flat(pairs) for pairs in sentences)).f1,
    }
    return TaskScore(main="srl_f1_official", values=values, per_label=per_label)


def frame_counts(gold: Sequence[Sequence[Frame]], predicted: Sequence[Sequence[Frame]]) -> Counts:
    """Return correct, predicted and gold arguments of every sentence, an array ``[sentences, 3]``; official rules.

    Raises:
        DataError: if the two sides differ in their number of sentences, or two paired frames in their number of tags.
    """
    return sentence_counts([_official(pairs) for pairs in _paired(gold, predicted)])


def _paired(gold: Sequence[Sequence[Frame]], predicted: Sequence[Sequence[Frame]]) -> list[list[Pair]]:
    check_same_number(gold, predicted)
    sentences = [list(_pairs(left, right)) for left, right in zip(gold, predicted, strict=True)]
    for number, pairs in enumerate(sentences):
        _check_lengths(pairs, number=number)
    return sentences


def _pairs(gold: Sequence[Frame], predicted: Sequence[Frame]) -> Iterator[Pair]:
    """Pair the frames of one sentence by predicate; ``None`` stands for the frame that one side lacks."""
    sides: defaultdict[int, tuple[list[Frame], list[Frame]]] = defaultdict(lambda: ([], []))
    for frame in gold:
        sides[frame.predicate][0].append(frame)
    for frame in predicted:
        sides[frame.predicate][1].append(frame)
    for left, right in sides.values():
        yield from zip_longest(left, right)


def _official(pairs: Sequence[Pair]) -> dict[str, PRF]:
    return summed(tally(_roles(left), _roles(right)) for left, right in pairs if left)


def _end_to_end(pairs: Sequence[Pair]) -> dict[str, PRF]:
    return summed(tally(_roles(left), _roles(right)) for left, right in pairs)


def _flat(pairs: Sequence[Pair]) -> dict[str, PRF]:
    return summed(tally(_spans(left), _spans(right)) for left, right in pairs if left)


def _roles(frame: Frame | None) -> set[Item]:
    return {(argument.label, argument.pieces) for argument in arguments(frame.tags)} if frame else set()


def _spans(frame: Frame | None) -> set[Item]:
    return span_items(frame.tags) if frame else set()


def _check_lengths(pairs: Sequence[Pair], *, number: int) -> None:
    for left, right in pairs:
        if left and right and len(left.tags) != len(right.tags):
            raise DataError(
                f"sentence {number}, predicate {left.predicate}: the gold frame has {len(left.tags)} tags and the "
                f"predicted one has {len(right.tags)}; give one tag per word on both sides"
            )
