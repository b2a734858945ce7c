"""Rows to a batch: index tensors for the encoder, gold labels for every task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from seqmtl.batch import IGNORED, Batch, FrameTargets, Targets, TokenTargets
from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import Row, Task


class Collator:
    """Turns rows of any corpora into one batch.

    A task's targets hold the rows that carry its layer; other rows give it neither loss nor update.
    """

    def __init__(self, indexer: Indexer, tasks: Sequence[Task]) -> None:
        """Collate with ``indexer`` for the encoder that reads the batch."""
        self.indexer = indexer
        self.tasks = tuple(tasks)

    def __call__(self, rows: Sequence[tuple[str, Row]], *, positions: Sequence[int] | None = None) -> Batch:
        """Collate (corpus, row) pairs; ``positions`` are kept in the batch's ``rows`` (default 0, 1, ...)."""
        inputs = self.indexer([row["tokens"] for _, row in rows])
        width = inputs.word_mask.shape[1]
        targets = {task.name: _targets(task, rows, width=width) for task in self.tasks}
        numbers = torch.arange(len(rows)) if positions is None else torch.tensor(positions, dtype=torch.long)
        return Batch(inputs, targets, numbers)


def _targets(task: Task, rows: Sequence[tuple[str, Row]], *, width: int) -> Targets:
    """The gold labels of ``task`` for the rows that carry it, padded to ``width`` words."""
    carriers = [(number, row) for number, (corpus, row) in enumerate(rows) if task.carried_by(row, corpus=corpus)]
    if task.spec.head.kind == "srl":
        frames = [(number, frame) for number, row in carriers for frame in row[task.spec.layer]]
        predicates = [(number, frame["predicate"]) for number, frame in frames]
        labels = [task.labels.ids(frame["tags"]) for _, frame in frames]
        return FrameTargets(torch.tensor(predicates, dtype=torch.long).reshape(-1, 2), _label_matrix(labels, width))
    if task.spec.head.kind == "predicate":
        labels = [_predicate_ids(row[task.spec.layer], len(row["tokens"])) for _, row in carriers]
    else:
        labels = [task.labels.ids(task.tags(row)) for _, row in carriers]
    return TokenTargets(
        torch.tensor([number for number, _ in carriers], dtype=torch.long), _label_matrix(labels, width)
    )


def _predicate_ids(frames: Sequence[Mapping[str, Any]], n_words: int) -> list[int]:
    """1 at the words that are predicates, else 0."""
    ids = [0] * n_words
    for frame in frames:
        ids[frame["predicate"]] = 1
    return ids


def _label_matrix(labels: Sequence[Sequence[int]], width: int) -> torch.Tensor:
    """Label ids, right-padded with ``IGNORED``, ``[n, width]``."""
    matrix = np.full((len(labels), width), IGNORED, dtype=np.int64)
    for row, sequence in zip(matrix, labels, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(matrix)
