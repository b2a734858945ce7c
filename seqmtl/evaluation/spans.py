"""Span F1 as conlleval computes it, the score of chunking and named entities; by the seqeval package.

seqeval reads tags in two ways. Its default reading is conlleval's: a span opens at ``I-X`` after ``O`` or after another
type, so every tag counts. Its strict reading drops what breaks the scheme. Both readings are used here, the counting is
ours, because seqeval warns where a ratio is undefined and keeps its counts to itself.
"""

from collections.abc import Sequence

from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities, Token

from seqmtl.errors import LabelError
from seqmtl.evaluation.accuracy import token_scores
from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.evaluation.tally import Counts, Item, check_same_lengths, sentence_counts, summed, tally, total
from seqmtl.labels import Scheme

_SEQEVAL: dict[Scheme, type[Token]] = {Scheme.IOB1: IOB1, Scheme.BIO: IOB2, Scheme.BIOES: IOBES}


def span_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: Scheme) -> TaskScore:
    """Score the spans that the tags spell.

    Args:
        gold: the tags of every sentence.
        predicted: as many tags for the same sentences; they may break the scheme's order.
        scheme: how the tags spell spans.

    Returns:
        The scores ``f1``, ``precision`` and ``recall`` (conlleval's reading), ``f1_strict`` (seqeval's strict mode) and
        ``accuracy`` of the tags; the counts of each span type by conlleval's reading.

    Raises:
        DataError: if the two sides differ in shape.
        LabelError: if a tag does not belong to the scheme.
    """
    per_label = summed(_tallies(gold, predicted, scheme=scheme))
    strict = summed(_strict_tallies(gold, predicted, reading=_SEQEVAL[scheme]))
    counts = total(per_label)
    values = {
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1_strict": total(strict).f1,
        "accuracy": token_scores(gold, predicted).values["accuracy"],
    }
    return TaskScore(main="f1", values=values, per_label=per_label)


def span_counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: Scheme) -> Counts:
    """Return correct, predicted and gold spans of every sentence, an array ``[sentences, 3]``; conlleval's reading.

    Raises:
        DataError: if the two sides differ in shape.
        LabelError: if a tag does not belong to the scheme.
    """
    return sentence_counts(_tallies(gold, predicted, scheme=scheme))


def span_items(tags: Sequence[str]) -> set[Item]:
    """Return the spans of one sentence by conlleval's reading, each a type at (first word, last word).

    >>> sorted(span_items(["I-PER", "I-LOC", "O", "B-C-ARG1"]))
    [('C-ARG1', (3, 3)), ('LOC', (1, 1)), ('PER', (0, 0))]
    """
    return {(label, (first, last)) for label, first, last in get_entities(list(tags))}


def _tallies(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: Scheme
) -> list[dict[str, PRF]]:
    check_same_lengths(gold, predicted)
    for side, sentences in (("gold", gold), ("predicted", predicted)):
        _check_tags(sentences, scheme=scheme, side=side)
    return [tally(span_items(left), span_items(right)) for left, right in zip(gold, predicted, strict=True)]


def _strict_tallies(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, reading: type[Token]
) -> list[dict[str, PRF]]:
    sides = (_strict_items(gold, reading=reading), _strict_items(predicted, reading=reading))
    return [tally(left, right) for left, right in zip(*sides, strict=True)]


def _strict_items(sentences: Sequence[Sequence[str]], *, reading: type[Token]) -> list[set[Item]]:
    entities = Entities([list(tags) for tags in sentences], reading).entities
    return [{(entity.tag, (entity.start, entity.end)) for entity in sentence} for sentence in entities]


def _check_tags(sentences: Sequence[Sequence[str]], *, scheme: Scheme, side: str) -> None:
    """Refuse, in our words, a tag that seqeval would warn about or fail on."""
    prefixes = tuple(f"{letter}-" for letter in scheme.prefixes if letter != "O")
    for tag in sorted({tag for tags in sentences for tag in tags}):
        if tag != "O" and not tag.startswith(prefixes):
            raise LabelError(
                f"the {side} tag {tag!r} is not a tag of the scheme {scheme.value!r}; allowed: O, "
                + ", ".join(f"{prefix}<label>" for prefix in prefixes)
                + "; name the scheme that the tags are in"
            )
