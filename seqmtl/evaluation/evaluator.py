"""Scores of a model on a split, exact whatever the number of processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from accelerate.utils import gather_object

from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task
from seqmtl.evaluation.bootstrap import Comparison, paired_bootstrap
from seqmtl.evaluation.predictions import Annotates, Prediction, Said, annotate
from seqmtl.evaluation.scorers import scorer_of
from seqmtl.evaluation.scores import TaskScore
from seqmtl.evaluation.tally import Counts


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
    annotator: Annotates[Said],
    rows: Sequence[Row],
    *,
    processes: Processes | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Said]:
    """What is said of all rows in order, on every process; each sentence is annotated by exactly one of them."""
    part = (0, 1) if processes is None else (processes.process_index, processes.num_processes)
    done = list(annotate(annotator, rows, part=part, advance=advance))
    if part[1] > 1:
        done = gather_object(done)
    ordered: dict[int, Said] = dict(done)
    assert len(ordered) == len(done) == len(rows)
    return [ordered[position] for position in range(len(rows))]


def score_rows(
    tasks: Mapping[str, Task], *, rows: Sequence[Row], predictions: Sequence[Prediction], corpus: str
) -> dict[str, TaskScore]:
    """Score each task on the rows of ``corpus`` that carry it; a task that no row carries is left out.

    Accuracy for plain tags, conlleval-like and strict F1 for spans, F1 for predicates, and for roles the official
    CoNLL-2005 F1 on gold predicates beside the end-to-end F1 on the predicates that the model finds.
    """
    pairs = {name: carried(task, rows, predictions, corpus=corpus) for name, task in tasks.items()}
    return {name: scorer_of(tasks[name]).score(found) for name, found in pairs.items() if found}


def count_rows(task: Task, *, rows: Sequence[Row], predictions: Sequence[Prediction], corpus: str) -> Counts:
    """(correct, predicted, gold) of each row of ``corpus`` that carries the task, ``[n, 3]``, for the bootstrap."""
    return scorer_of(task).counts(carried(task, rows, predictions, corpus=corpus))


def compare_predictions(
    tasks: Mapping[str, Task],
    *,
    rows: Sequence[Row],
    ours: Sequence[Prediction],
    theirs: Sequence[Prediction],
    corpus: str,
) -> dict[str, Comparison]:
    """Paired bootstrap of two systems over the same rows of ``corpus``, for each task that both have."""
    found = {}
    for name, task in tasks.items():
        scorer = scorer_of(task)
        sides = [carried(task, rows, predictions, corpus=corpus) for predictions in (ours, theirs)]
        if sides[0] and all(scorer.covers(prediction) for pairs in sides for _, prediction in pairs):
            found[name] = paired_bootstrap(*(scorer.counts(pairs) for pairs in sides))
    return found


def carried(
    task: Task, rows: Sequence[Row], predictions: Sequence[Prediction], *, corpus: str
) -> list[tuple[Row, Prediction]]:
    """The rows of ``corpus`` that carry the task, each with its prediction."""
    pairs = zip(rows, predictions, strict=True)
    return [(row, prediction) for row, prediction in pairs if task.carried_by(row, corpus=corpus)]
