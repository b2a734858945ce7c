"""Running mean losses that stay on the device until somebody looks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from seqmtl.objectives.losses import Losses


class RunningLosses:
    """Sums of losses and words per task; only ``take`` waits for the device."""

    def __init__(self, tasks: list[str], device: torch.device) -> None:
        """Start at 0."""
        self.tasks = tasks
        self._totals = torch.zeros(len(tasks), device=device)
        self._words = [0] * len(tasks)

    def add(self, losses: Losses) -> None:
        """Add one micro-batch."""
        self._totals += torch.stack([losses.tasks[task].total.detach().mean().float() for task in self.tasks])

    def count(self, words: Mapping[str, int]) -> None:
        """Add the labelled words of one step on this process."""
        self._words = [have + words[task] for have, task in zip(self._words, self.tasks, strict=True)]

    def take(self) -> dict[str, float]:
        """Mean loss per word of each task since the last call; tasks without words are left out."""
        totals: Tensor = self._totals
        means = {t: s / n for t, s, n in zip(self.tasks, totals.tolist(), self._words, strict=True) if n}
        self._totals = torch.zeros_like(totals)
        self._words = [0] * len(self.tasks)
        return means
