"""Rows to a batch: index tensors for the encoder, gold labels for every task."""

from collections.abc import Sequence

from seqmtl.batch import Batch
from seqmtl.data.indexing import Indexer
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task


class Collator:
    """Turns rows of any corpora into one batch.

    A task's targets hold the rows that carry its layer; other rows give it neither loss nor update.
    """

    def __init__(self, indexer: Indexer, tasks: Sequence[Task]) -> None:
        """Collate with ``indexer`` for the encoder that reads the batch."""
        self.indexer = indexer
        self.tasks = tuple(tasks)

    def __call__(self, rows: Sequence[tuple[str, Row]], *, only: str | None = None) -> Batch:
        """Collate (corpus, row) pairs, with the targets of all tasks, or ``only`` of one."""
        inputs = self.indexer([row["tokens"] for _, row in rows])
        width = inputs.word_mask.shape[1]
        tasks = [task for task in self.tasks if only in (None, task.name)]
        return Batch(inputs, {task.name: task.targets(rows, width=width) for task in tasks})
