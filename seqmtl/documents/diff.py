"""Predictions against the gold standard, one sentence at a time, for a terminal.

ner  1 of 2 right
     gold       [PER Anna] left [LOC New York].
     predicted  [PER Anna] left New [LOC York].
     wrong extent  [LOC New York] -> [LOC York]
"""

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.table import Column
from rich.text import Text

from seqmtl.documents.brackets import Line, bracketed, excerpt, joined, shown
from seqmtl.documents.comparison import Pair, Verdict, pairs
from seqmtl.documents.document import (
    Annotation,
    FrameArgument,
    Sentence,
    TaggedFrame,
    Token,
    TypedSpan,
    build_document,
)
from seqmtl.documents.terminal import grid_of

_STYLES = {Verdict.MISSED: "red", Verdict.SPURIOUS: "magenta"}


def sentence_diff(tokens: Sequence[str], *, gold: Annotation, predicted: Annotation) -> RenderableType:
    """Where a prediction departs from the gold standard, for every layer that both have.

    Plain layers list the words with a wrong tag. Span layers and frames show both readings, then every span or argument
    that is wrong, beside the one that stands in its place. Frames belong together when their predicate is the same
    word; several on one word, in their order.

    Raises:
        LabelError: when a tag of a span layer or of a frame is not a span tag at all.
    """
    text = " ".join(tokens)
    ours, theirs = _sentence(text, tokens, predicted), _sentence(text, tokens, gold)
    grid = grid_of(Column(style="bold", no_wrap=True))
    for task in gold.tags:
        if task in predicted.tags:
            grid.add_row(task, _tags(tokens, theirs.tags[task], ours.tags[task]))
    for task in gold.span_tags:
        if task in predicted.span_tags:
            grid.add_row(task, _spans(text, theirs.spans[task], ours.spans[task]))
    for task in gold.frames:
        if task in predicted.frames:
            grid.add_row(task, _frames(text, theirs, theirs.frames[task], ours.frames[task]))
    return grid


def _sentence(text: str, tokens: Sequence[str], annotation: Annotation) -> Sentence:
    offsets, start = [], 0
    for token in tokens:
        offsets.append((start, start + len(token)))
        start += len(token) + 1
    return build_document(text, sentences=[offsets], annotations=[annotation]).sentences[0]


def _tags(tokens: Sequence[str], gold: Sequence[str], predicted: Sequence[str]) -> RenderableType:
    wrong = [index for index in range(len(tokens)) if gold[index] != predicted[index]]
    table = grid_of(Column(no_wrap=True), Column(no_wrap=True))
    for index in wrong:
        context = " ".join(tokens[max(0, index - 3) : index + 4])
        table.add_row(
            shown(tokens[index]), shown(f"{gold[index]} -> {predicted[index]}"), Text(shown(context), style="dim")
        )
    return Group(_count(len(tokens) - len(wrong), len(tokens)), *([table] if wrong else []))


def _spans(text: str, gold: Sequence[TypedSpan], predicted: Sequence[TypedSpan]) -> RenderableType:
    found = pairs(_as_arguments(gold), _as_arguments(predicted))
    both = grid_of(Column(style="dim", no_wrap=True))
    both.add_row("gold", bracketed(text, extent=(0, len(text)), spans=gold))
    both.add_row("predicted", bracketed(text, extent=(0, len(text)), spans=predicted))
    return _report(found, both)


def _frames(
    text: str, sentence: Sentence, gold: Sequence[TaggedFrame], predicted: Sequence[TaggedFrame]
) -> RenderableType:
    """One row per frame on either side; frames on one word are paired in their order."""
    theirs, ours = _by_place(gold), _by_place(predicted)
    table = grid_of(Column(style="bold", no_wrap=True))
    for place in sorted(theirs.keys() | ours.keys()):
        word = sentence.tokens[place]
        for left, right in zip_longest(theirs.get(place, ()), ours.get(place, ())):
            table.add_row(shown(word.text), _pair(text, word, left, right))
    return table if table.row_count else _count(0, 0)


def _by_place(frames: Sequence[TaggedFrame]) -> dict[int, list[TaggedFrame]]:
    found: dict[int, list[TaggedFrame]] = {}
    for frame in frames:
        found.setdefault(frame.predicate, []).append(frame)
    return found


def _pair(text: str, word: Token, gold: TaggedFrame | None, predicted: TaggedFrame | None) -> RenderableType:
    if gold is None:
        return Text("spurious predicate", style=_STYLES[Verdict.SPURIOUS])
    if predicted is None:
        return Text("missed predicate", style=_STYLES[Verdict.MISSED])
    return _frame(text, word, gold, predicted)


def _frame(text: str, word: Token, gold: TaggedFrame, predicted: TaggedFrame) -> RenderableType:
    both = grid_of(Column(style="dim", no_wrap=True))
    for name, frame in (("gold", gold), ("predicted", predicted)):
        spans = [piece for argument in frame.arguments for piece in argument.pieces]
        both.add_row(name, excerpt(text, predicate=(word.start, word.end), spans=spans))
    return _report(pairs(gold.arguments, predicted.arguments), both)


def _as_arguments(spans: Sequence[TypedSpan]) -> list[FrameArgument]:
    return [FrameArgument(span.label, (span,), span.text) for span in spans]


def _report(found: Sequence[Pair], readings: RenderableType) -> RenderableType:
    """How many gold ones were found; where something is wrong, both readings and the wrong ones."""
    wrong = [pair for pair in found if pair.verdict is not Verdict.RIGHT]
    count = _count(len(found) - len(wrong), sum(pair.gold is not None for pair in found))
    if not wrong:
        return count
    table = grid_of(Column(no_wrap=True))
    for pair in wrong:
        sides = [joined(side.pieces).text for side in (pair.gold, pair.predicted) if side is not None]
        table.add_row(Text(pair.verdict, style=_STYLES.get(pair.verdict, "yellow")), Line(Text(" -> ").join(sides)))
    return Group(count, readings, table)


def _count(right: int, gold: int) -> Text:
    return Text(f"{right} of {gold} right", style="green" if right == gold else "yellow")
