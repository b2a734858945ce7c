"""Token accuracy, the score of part-of-speech tagging."""

from collections.abc import Sequence

from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.evaluation.tally import Counts, Item, check_same_lengths, sentence_counts, summed, tally, total


def token_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> TaskScore:
    """Score one tag per word.

    Args:
        gold: the tags of every sentence.
        predicted: as many tags for the same sentences.

    Returns:
        The score ``accuracy``, and precision and recall of each tag.

    Raises:
        DataError: if the two sides differ in shape.
    """
    per_label = summed(_tallies(gold, predicted))
    return TaskScore(main="accuracy", values={"accuracy": total(per_label).recall}, per_label=per_label)


def token_counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Counts:
    """Return (correct, n, n) for every sentence of n words, an array ``[sentences, 3]``.

    Raises:
        DataError: if the two sides differ in shape.
    """
    return sentence_counts(_tallies(gold, predicted))


def _tallies(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> list[dict[str, PRF]]:
    check_same_lengths(gold, predicted)
    return [tally(_items(left), _items(right)) for left, right in zip(gold, predicted, strict=True)]


def _items(tags: Sequence[str]) -> set[Item]:
    return {(tag, position) for position, tag in enumerate(tags)}
