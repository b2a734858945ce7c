"""Predictions and gold rows in the terms of documents, for people to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from seqmtl.data.kinds import Frames, PlainTags, Predicates, Spans
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task
from seqmtl.documents import Annotation
from seqmtl.evaluation.predictions import Prediction
from seqmtl.evaluation.scorers import scorer_of
from seqmtl.labels import Frame

Tasks = Mapping[str, Task]


def predicted_annotation(tasks: Tasks, prediction: Prediction, *, n_words: int) -> Annotation:
    """What a model says about raw text; predicates that have frames have no layer of their own."""
    in_frames = {tasks[name].spec.predicates for name in prediction.found_frames}
    bare = {name: words for name, words in prediction.predicates.items() if name not in in_frames}
    return _annotation(tasks, {**prediction.tags, **prediction.found_frames, **bare}, n_words=n_words)


def errors(
    tasks: Tasks, *, rows: Sequence[Row], predictions: Sequence[Prediction], corpus: str
) -> Iterator[tuple[Row, Annotation, Annotation]]:
    """The rows of ``corpus`` on which a model is wrong, each with its gold and its predicted annotation.

    Both hold the tasks that the row carries. Frames are those of the gold predicates, so that a pair of frames differs
    in arguments only; predicates are frames without arguments.
    """
    scorers = {name: scorer_of(task) for name, task in tasks.items()}
    for row, prediction in zip(rows, predictions, strict=True):
        chosen = {
            name: scorer
            for name, scorer in scorers.items()
            if tasks[name].carried_by(row, corpus=corpus) and scorer.covers(prediction)
        }
        if not all(scorer.agrees(row, prediction) for scorer in chosen.values()):
            gold = {name: scorer.gold(row) for name, scorer in chosen.items()}
            guess = {name: scorer.guess(prediction) for name, scorer in chosen.items()}
            n_words = len(row["tokens"])
            yield row, _annotation(tasks, gold, n_words=n_words), _annotation(tasks, guess, n_words=n_words)


def _annotation(tasks: Tasks, said: Mapping[str, Any], *, n_words: int) -> Annotation:
    """What is said for each task, as the layers of a document."""
    tags, span_tags, frames = {}, {}, {}
    for name, layer in said.items():
        match tasks[name].kind:
            case PlainTags():
                tags[name] = tuple(layer)
            case Spans():
                span_tags[name] = tuple(layer)
            case Predicates():
                frames[name] = tuple(_bare_frame(word, n_words) for word in layer)
            case Frames():
                frames[name] = tuple(layer)
            case kind:
                assert_never(kind)
    return Annotation(tags=tags, span_tags=span_tags, frames=frames)


def _bare_frame(word: int, n_words: int) -> Frame:
    """A predicate without arguments."""
    return Frame(predicate=word, sense="", tags=tuple("B-V" if t == word else "O" for t in range(n_words)))
