"""Which evaluation was best, and when to stop looking for a better one."""

from collections.abc import Mapping
from typing import Any

from seqmtl.evaluation.scores import TaskScore


class Selection:
    """Keeps the best mean dev score, and each task's best, with the epochs at which they were reached."""

    def __init__(self, *, patience: int | None) -> None:
        """Stop after ``patience`` evaluations without a better mean; None: never."""
        self.patience = patience
        self.best_mean = float("-inf")
        self.best_epoch = 0
        self.best_per_task: dict[str, tuple[float, int]] = {}
        self._worse = 0

    def update(self, scores: Mapping[str, float], epoch: int) -> bool:
        """Note the scores of ``epoch``; return whether their mean is the best so far."""
        for task in self.improved(scores):
            self.best_per_task[task] = (scores[task], epoch)
        mean = sum(scores.values()) / len(scores)
        if mean > self.best_mean:
            self.best_mean, self.best_epoch, self._worse = mean, epoch, 0
            return True
        self._worse += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """The best so far, and for how long."""
        return {
            "best_mean": self.best_mean,
            "best_epoch": self.best_epoch,
            "best_per_task": self.best_per_task,
            "worse": self._worse,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.best_mean, self.best_epoch, self._worse = state["best_mean"], state["best_epoch"], state["worse"]
        self.best_per_task = {task: (score, epoch) for task, (score, epoch) in state["best_per_task"].items()}

    def improved(self, scores: Mapping[str, float]) -> list[str]:
        """The tasks that have never scored as high."""
        none = (float("-inf"), 0)
        return [task for task, score in scores.items() if score > self.best_per_task.get(task, none)[0]]

    @property
    def exhausted(self) -> bool:
        """Whether patience is at its end."""
        return self.patience is not None and self._worse >= self.patience


def mean_over_corpora(scores: Mapping[str, Mapping[str, TaskScore]]) -> dict[str, float]:
    """Each task's main score, averaged over the corpora that carry it."""
    found: dict[str, list[float]] = {}
    for by_task in scores.values():
        for task, score in by_task.items():
            found.setdefault(task, []).append(score.main_value)
    return {task: sum(values) / len(values) for task, values in found.items()}
