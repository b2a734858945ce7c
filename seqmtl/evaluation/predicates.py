"""Precision, recall and F1 of predicate identification."""

from collections.abc import Collection, Sequence

from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.evaluation.tally import Counts, check_same_number, sentence_counts, summed, tally, total

PREDICATE = "predicate"


def predicate_scores(gold: Sequence[Collection[int]], predicted: Sequence[Collection[int]]) -> TaskScore:
    """Score which words of each sentence are predicates.

    Args:
        gold: the word positions of the predicates of every sentence; a repeated position counts once.
        predicted: the same for the predicted predicates.

    Returns:
        The scores ``f1``, ``precision`` and ``recall``, and their counts under the single label ``predicate``.

    Raises:
        DataError: if the two sides differ in their number of sentences.
    """
    per_label = summed(_tallies(gold, predicted))
    counts = total(per_label)
    values = {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}
    return TaskScore(main="f1", values=values, per_label=per_label)


def predicate_counts(gold: Sequence[Collection[int]], predicted: Sequence[Collection[int]]) -> Counts:
    """Return correct, predicted and gold predicates of every sentence, an array ``[sentences, 3]``.

    Raises:
        DataError: if the two sides differ in their number of sentences.
    """
    return sentence_counts(_tallies(gold, predicted))


def _tallies(gold: Sequence[Collection[int]], predicted: Sequence[Collection[int]]) -> list[dict[str, PRF]]:
    check_same_number(gold, predicted)
    sides = ([{(PREDICATE, word) for word in words} for words in side] for side in (gold, predicted))
    return [tally(left, right) for left, right in zip(*sides, strict=True)]
