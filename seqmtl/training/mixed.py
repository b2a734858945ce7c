"""What the steps that were taken really mixed."""

from collections import Counter
from collections.abc import Iterable, Mapping

from seqmtl.data.mixture import Step


class Mixed:
    """Counts, over all processes: rows of each corpus, words, and labelled words of each task."""

    def __init__(self, tasks: Iterable[str]) -> None:
        """Start at 0."""
        self.rows: Counter[str] = Counter()
        self.words = 0
        self.labelled: Counter[str] = Counter(dict.fromkeys(tasks, 0))

    def add(self, step: Step, labelled: Mapping[str, int]) -> None:
        """Add one step and the labelled words of its tasks."""
        self.rows.update(corpus for corpus, _ in step.rows)
        self.words += sum(len(row["tokens"]) for _, row in step.rows)
        self.labelled.update(labelled)
