"""Counts of labelled items, label by label: the one thing that accuracy, spans, predicates and roles have in common.

An item is a label at a place: a tag at a position, a span type at two positions, a role at the pieces of an argument.
It is correct if the other side has the same label at the same place.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqmtl.errors import DataError
from seqmtl.evaluation.scores import PRF

Item: TypeAlias = tuple[str, Hashable]
Tally: TypeAlias = Mapping[str, PRF]
Counts: TypeAlias = NDArray[np.int64]


def tally(gold: Set[Item], predicted: Set[Item]) -> dict[str, PRF]:
    """Compare the items of one sentence and return the counts of each label, the labels in alphabetical order.

    >>> tally({("LOC", 0), ("PER", 4)}, {("LOC", 0), ("LOC", 4)})
    {'LOC': PRF(correct=1, predicted=2, gold=1), 'PER': PRF(correct=0, predicted=0, gold=1)}
    """
    in_both, in_predicted, in_gold = (_labels(items) for items in (gold & predicted, predicted, gold))
    labels = sorted(in_predicted.keys() | in_gold.keys())
    return {label: PRF(in_both[label], in_predicted[label], in_gold[label]) for label in labels}


def summed(tallies: Iterable[Tally]) -> dict[str, PRF]:
    """Add up the counts of several sentences, label by label."""
    totals: dict[str, PRF] = {}
    for one in tallies:
        for label, counts in one.items():
            totals[label] = totals.get(label, PRF(0, 0, 0)) + counts
    return dict(sorted(totals.items()))


def total(one: Tally) -> PRF:
    """Add up the counts of all labels: the micro average."""
    return sum(one.values(), PRF(0, 0, 0))


def sentence_counts(tallies: Sequence[Tally]) -> Counts:
    """Return correct, predicted and gold items of every sentence, an array ``[n, 3]`` for the bootstrap."""
    totals = [total(one) for one in tallies]
    rows = [(counts.correct, counts.predicted, counts.gold) for counts in totals]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


def check_same_number(gold: Sequence[object], predicted: Sequence[object]) -> None:
    """Check that both sides have the same number of sentences.

    Raises:
        DataError: if they have not.
    """
    if len(gold) != len(predicted):
        raise DataError(
            f"gold has {len(gold)} sentences and predicted has {len(predicted)}; "
            "both sides must hold the same sentences in the same order"
        )


def check_same_lengths(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
    """Check that both sides have the same sentences, each with as many tags.

    Raises:
        DataError: if they have not; the message names the first sentence that differs.
    """
    check_same_number(gold, predicted)
    for number, (gold_tags, predicted_tags) in enumerate(zip(gold, predicted, strict=True)):
        if len(gold_tags) != len(predicted_tags):
            raise DataError(
                f"sentence {number}: gold has {len(gold_tags)} tags and predicted has {len(predicted_tags)}; "
                "give one tag per word on both sides"
            )


def _labels(items: Iterable[Item]) -> Counter[str]:
    return Counter(label for label, _ in items)
