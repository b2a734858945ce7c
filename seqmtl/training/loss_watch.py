"""Losses and gradients that are not finite, and the rows that had them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from seqmtl.errors import TrainingError
from seqmtl.files import write_text
from seqmtl.training.learner import Cost, Taken

NOT_FINITE = "not_finite-{process}.json"
LEAST_SCALE = 1.0  # below it the scale of gradients in fp16 is of no use: something else makes them overflow
KEYS = {"distance": "weight"}  # of a penalty under `sharing`, where that is not its name
SHOWN = 3  # rows that a message names; the file names all


class LossWatch:
    """Keeps losses and gradient norms of the latest steps, with their rows, until somebody looks if they are finite.

    They stay on the device, so that keeping them costs nothing and only a look waits for it. The first step with one
    that is not finite is the one to blame: from then on, parameters are not finite, and neither is any loss.

    Under fp16 gradients are scaled, and now and then the scale is too large. Such a step moves no parameter, and its
    gradient is nothing to blame; but each of them halves the scale, which therefore must not become too small.
    """

    def __init__(self, out: Path, *, accelerator: Accelerator) -> None:
        """``out`` is where rows are written to."""
        self._out = out
        self._accelerator = accelerator
        self._latest: list[tuple[int, Taken]] = []

    def add(self, step: int, taken: Taken) -> None:
        """Keep what ``step`` came to in this process."""
        self._latest.append((step, taken))

    def look(self) -> None:
        """Look at all steps since the last look; all processes do so at the same step.

        Raises:
            TrainingError: when a loss or a gradient is not finite, on all processes; those that had the loss in the
                first such step write the rows of the micro-batch to a file and name them. Where only the gradient is
                not, which processes have in common, each writes all its rows of the step.
        """
        latest, self._latest = self._latest, []
        if not latest:
            return
        scaler = self._accelerator.scaler
        if scaler is not None and scaler.get_scale() >= LEAST_SCALE:
            latest = [(step, without_overflow(taken)) for step, taken in latest]
        bad = [] if _all_finite(latest, device=self._accelerator.device) else latest
        costs = ((step, cost) for step, taken in bad for cost in taken.costs)
        step, cost = next(((s, c) for s, c in costs if not _finite(_values(c))), (math.inf, None))
        overflow, taken = next(((s, t) for s, t in bad if not t.gradient_norm.isfinite()), (math.inf, None))
        found = torch.tensor([[float(step), float(overflow)]], device=self._accelerator.device)
        first, first_overflow = self._accelerator.gather(found).amin(dim=0).tolist()  # type: ignore[union-attr]
        if first == first_overflow == math.inf:
            return
        if taken is not None and overflow < first:
            norm = {"norm of the gradient": taken.gradient_norm}
            raise TrainingError(self._blamed(int(overflow), taken.costs, norm))
        if cost is None or step > first:
            first = min(first, first_overflow)
            raise TrainingError(f"a loss of another process is not finite in step {first:.0f}; its message says more")
        raise TrainingError(self._blamed(int(step), [cost], _values(cost)))

    def _blamed(self, step: int, costs: Sequence[Cost], vectors: Mapping[str, Tensor]) -> str:
        """Write the rows of micro-batches to a file, and say which they are, and what is not finite."""
        values = {name: vector.mean().item() for name, vector in vectors.items()}
        rows = [{"corpus": corpus, "id": row["id"]} for cost in costs for corpus, row in cost.rows]
        path = self._out / NOT_FINITE.format(process=self._accelerator.process_index)
        content = {"step": step, "values": {name: str(value) for name, value in values.items()}, "rows": rows}
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        found = [f"the {name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        shown = ", ".join(f"{row['corpus']}/{row['id']}" for row in rows[:SHOWN])
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        penalties = [item for cost in costs for item in cost.losses.penalties.items()]
        keys = dict.fromkeys(_key(name) for name, penalty in penalties if not penalty.isfinite())
        remedies = ["lower training.learning_rates", "lengthen training.warmup", *(f"lower {key}" for key in keys)]
        if self._accelerator.scaler is not None:
            remedies.append("leave training.precision 'fp16'")
        return f"{' and '.join(found)} in step {step}, rows {shown}{more} ({path}); {', or '.join(remedies)}"


def without_overflow(taken: Taken) -> Taken:
    """The same step, as if its gradient were finite."""
    norm = taken.gradient_norm
    return replace(taken, gradient_norm=torch.where(norm.isfinite(), norm, torch.zeros_like(norm)))


def _all_finite(latest: Sequence[tuple[int, Taken]], *, device: torch.device) -> bool:
    """Whether there is nothing to blame, with one look at the device."""
    vectors = [vector for _, taken in latest for cost in taken.costs for vector in _values(cost).values()]
    norms = [taken.gradient_norm.reshape(1).float() for _, taken in latest]
    # The norm of a step without any gradient is on the CPU.
    return bool(torch.cat([vector.to(device) for vector in vectors + norms]).isfinite().all())


def _finite(vectors: Mapping[str, Tensor]) -> bool:
    return all(bool(vector.isfinite().all()) for vector in vectors.values())


def _values(cost: Cost) -> dict[str, Tensor]:
    """Each loss and penalty as a vector, with what it is."""
    tasks = {f"loss of task {task!r}": loss.total for task, loss in cost.losses.tasks.items()}
    penalties = {f"penalty {name!r} ({_key(name)})": penalty for name, penalty in cost.losses.penalties.items()}
    return {name: value.reshape(-1).float() for name, value in (tasks | penalties).items()}


def _key(penalty: str) -> str:
    """Of the weight of a penalty in a recipe."""
    return f"sharing.{KEYS.get(penalty, penalty)}"
