"""Running mean losses that stay on the device until somebody looks.

N penalties.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from seqmtl.objectives.losses import Losses


class RunningLosses:
    """Sums of losses and words per task, and of the scheme's penalties; only taking them waits for the device."""

    def __init__(self, tasks: list[str], device: torch.device) -> None:
        """Start at 0."""
        self.tasks = tasks
        self._totals = torch.zeros(len(tasks), device=device)
        self._words = [0] * len(tasks)
        self._penalties: dict[str, list[Tensor]] = {}

    def add(self, losses: Losses) -> None:
        """Add one micro-batch."""
        for number, task in enumerate(self.tasks):
            if task in losses.tasks:
                self._totals[number] += losses.tasks[task].total.detach().mean().float()
        for name, penalty in losses.penalties.items():
            self._penalties.setdefault(name, []).append(penalty.detach().float())

    def count(self, words: Mapping[str, int]) -> None:
        """Add the labelled words of one step, those of other processes too."""
        self._words = [have + words[task] for have, task in zip(self._words, self.tasks, strict=True)]

    def take(self, *, sum_processes: Callable[[Tensor], Any]) -> dict[str, float]:
        """Mean loss per word of each task since the last call; tasks without words are left out.

        Args:
            sum_processes: adds up a tensor over all processes, which must all call this at the same step.
        """
        totals: Tensor = sum_processes(self._totals)  # Any above: Accelerate's `reduce` takes mappings, too
        means = {t: s / n for t, s, n in zip(self.tasks, totals.tolist(), self._words, strict=True) if n}
        self._totals = torch.zeros_like(totals)
        self._words = [0] * len(self.tasks)
        return means

    def take_penalties(self, *, sum_processes: Callable[[Tensor], Any]) -> dict[str, float]:
        """Mean of each penalty per step since the last call, weighted as it is in the joint loss; none without any.

        Args:
            sum_processes: as for ``take``; it is called when there are penalties, of which all processes have the same.
        """
        if not self._penalties:
            return {}
        parts = [torch.stack(values) for values in self._penalties.values()]
        sums = torch.stack([torch.stack((part.sum(), torch.ones_like(part).sum())) for part in parts])  # [N, 2]
        found: Tensor = sum_processes(sums)
        means = {name: total / count for name, (total, count) in zip(self._penalties, found.tolist(), strict=True)}
        self._penalties = {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """What was added since the last call, on this process."""
        penalties = {name: torch.stack(values) for name, values in self._penalties.items()}
        return {"totals": self._totals, "words": self._words, "penalties": penalties}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        device = self._totals.device
        self._totals, self._words = state["totals"].to(device), state["words"]
        self._penalties = {name: list(values.to(device)) for name, values in state["penalties"].items()}
