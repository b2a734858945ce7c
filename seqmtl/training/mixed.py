"""What the steps that were taken really mixed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from seqmtl.data.mixture import Step


class Mixed:
    """Counts, over all processes: rows of each corpus, words, and labelled words of each task."""

    def __init__(self, tasks: Iterable[str]) -> None:
        """Start at 0."""
        self._tasks = tuple(tasks)
        self.clear()

    def clear(self) -> None:
        """Start again at 0."""
        self.rows: Counter[str] = Counter()
        self.words = 0
        self.labelled: Counter[str] = Counter(dict.fromkeys(self._tasks, 0))

    def add(self, step: Step, labelled: Mapping[str, int]) -> None:
        """Add one step and the labelled words of its tasks."""
        self.rows.update(corpus for corpus, _ in step.rows)
        self.words += sum(len(row["tokens"]) for _, row in step.rows)
        self.labelled.update(labelled)

    def state_dict(self) -> dict[str, Any]:
        """All counts."""
        return {"rows": dict(self.rows), "words": self.words, "labelled": dict(self.labelled)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from saved counts."""
        self.rows, self.words, self.labelled = Counter(state["rows"]), state["words"], Counter(state["labelled"])
