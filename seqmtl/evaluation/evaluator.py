"""Scores of a model on a split, exact whatever the number of processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from accelerate.utils import gather_object

from seqmtl.data.tasks import Row, Task
from seqmtl.evaluation.accuracy import token_counts, token_scores
from seqmtl.evaluation.bootstrap import Comparison, paired_bootstrap
from seqmtl.evaluation.predicates import predicate_counts, predicate_scores
from seqmtl.evaluation.predictions import Annotator, Prediction, annotate
from seqmtl.evaluation.scores import TaskScore
from seqmtl.evaluation.spans import span_counts, span_scores
from seqmtl.evaluation.srl import frame_counts, frame_scores
from seqmtl.labels import Frame, Scheme

END_TO_END = "srl_f1_end_to_end"


class Processes(Protocol):
    """What is needed of an ``accelerate.Accelerator``."""

    @property
    def process_index(self) -> int:
        """This process's rank."""
        ...

    @property
    def num_processes(self) -> int:
        """How many there are."""
        ...


def predict_rows(
    annotator: Annotator,
    rows: Sequence[Row],
    *,
    processes: Processes | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """Predictions for all rows in order, on every process; each sentence is annotated by exactly one of them."""
    part = (0, 1) if processes is None else (processes.process_index, processes.num_processes)
    done = list(annotate(annotator, rows, part=part, advance=advance))
    if part[1] > 1:
        done = gather_object(done)
    ordered: dict[int, Prediction] = dict(done)
    assert len(ordered) == len(done) == len(rows)
    return [ordered[position] for position in range(len(rows))]


def score_rows(
    tasks: Mapping[str, Task], rows: Sequence[Row], predictions: Sequence[Prediction], *, corpus: str | None = None
) -> dict[str, TaskScore]:
    """Score each task on the rows that carry its layer; a task that no row carries is left out.

    Accuracy for plain tags, conlleval-like and strict F1 for spans, F1 for predicates, and for roles the official
    CoNLL-2005 F1 on gold predicates beside the end-to-end F1 on the predicates that the model finds.
    """
    scores: dict[str, TaskScore] = {}
    for name, task in tasks.items():
        pairs = _carried(task, rows, predictions, corpus)
        if pairs:
            scores[name] = _score(name, task, pairs)
    return scores


def count_rows(task: Task, rows: Sequence[Row], predictions: Sequence[Prediction]) -> np.ndarray:
    """(correct, predicted, gold) of each row that carries the task's layer, ``[n, 3]``, for the paired bootstrap."""
    pairs = _carried(task, rows, predictions, None)
    gold, guess = _gold(task, pairs), _guess(task.name, task, pairs)
    match task.spec.head.kind:
        case "predicate":
            return predicate_counts(gold, guess)
        case "srl":
            return frame_counts(gold, guess)
        case _ if task.scheme is None:
            return token_counts(gold, guess)
        case _:
            return span_counts(gold, guess, scheme=Scheme.BIO)


def compare_predictions(
    tasks: Mapping[str, Task], rows: Sequence[Row], ours: Sequence[Prediction], theirs: Sequence[Prediction]
) -> dict[str, Comparison]:
    """Paired bootstrap of two systems over the same rows, for each task that both have."""
    found = {}
    for name, task in tasks.items():
        both = all(_has(name, task, predictions) for predictions in (ours, theirs))
        if both and _carried(task, rows, ours, None):
            found[name] = paired_bootstrap(count_rows(task, rows, ours), count_rows(task, rows, theirs))
    return found


def _has(name: str, task: Task, predictions: Sequence[Prediction]) -> bool:
    """Whether predictions hold a layer for the task."""
    kind = {"predicate": "predicates", "srl": "frames"}.get(task.spec.head.kind, "tags")
    return all(name in getattr(prediction, kind) for prediction in predictions)


Pairs = list[tuple[Row, Prediction]]


def _carried(task: Task, rows: Sequence[Row], predictions: Sequence[Prediction], corpus: str | None) -> Pairs:
    chosen = corpus is None or task.spec.corpora is None or corpus in task.spec.corpora
    pairs = zip(rows, predictions, strict=True)
    return [(row, guess) for row, guess in pairs if chosen and row.get(task.spec.layer) is not None]


def _score(name: str, task: Task, pairs: Pairs) -> TaskScore:
    gold, guess = _gold(task, pairs), _guess(name, task, pairs)
    match task.spec.head.kind:
        case "predicate":
            return predicate_scores(gold, guess)
        case "srl":
            given = frame_scores(gold, guess)
            values = {key: value for key, value in given.values.items() if key != END_TO_END}
            if task.spec.predicates is not None:
                found = frame_scores(gold, [prediction.found_frames[name] for _, prediction in pairs])
                values[END_TO_END] = found.values[END_TO_END]
            return TaskScore(given.main, values, given.per_label)
        case _ if task.scheme is None:
            return token_scores(gold, guess)
        case _:
            return span_scores(gold, guess, scheme=Scheme.BIO)


def _gold(task: Task, pairs: Pairs) -> list:
    layer = task.spec.layer
    match task.spec.head.kind:
        case "predicate":
            return [{frame["predicate"] for frame in row[layer]} for row, _ in pairs]
        case "srl":
            return [[Frame.from_row(frame) for frame in row[layer]] for row, _ in pairs]
        case _:
            return [row[layer] for row, _ in pairs]


def _guess(name: str, task: Task, pairs: Pairs) -> list:
    match task.spec.head.kind:
        case "predicate":
            return [prediction.predicates[name] for _, prediction in pairs]
        case "srl":
            return [prediction.frames[name] for _, prediction in pairs]
        case _:
            return [prediction.tags[name] for _, prediction in pairs]
