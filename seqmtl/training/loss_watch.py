"""Losses that are not finite, and the rows that had them."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from seqmtl.errors import TrainingError
from seqmtl.files import write_text
from seqmtl.training.learner import Cost

NOT_FINITE = "not_finite-{process}.json"
KEYS = {"distance": "weight"}  # of a penalty under `sharing`, where that is not its name
SHOWN = 3  # rows that a message names; the file names all


class LossWatch:
    """Keeps the losses of the latest steps, with their rows, until somebody looks whether they are finite.

    They stay on the device, so that keeping them costs nothing and only a look waits for it. The first step with a loss
    that is not finite is the one to blame: from then on, parameters are not finite, and neither is any loss.
    """

    def __init__(self, out: Path, *, accelerator: Accelerator) -> None:
        """``out`` is where rows are written to."""
        self._out = out
        self._accelerator = accelerator
        self._latest: list[tuple[int, Cost]] = []

    def add(self, step: int, costs: Sequence[Cost]) -> None:
        """Keep what ``step`` cost this process."""
        self._latest += [(step, cost) for cost in costs]

    def look(self) -> None:
        """Look at all losses since the last look; all processes do so at the same step.

        Raises:
            TrainingError: when one is not finite, on all processes; those that had it in the first such step write the
                rows of the micro-batch to a file and name them.
        """
        latest, self._latest = self._latest, []
        if not latest:
            return
        step, cost = next(self._not_finite(latest), (math.inf, None))
        first = self._accelerator.gather(torch.tensor([float(step)], device=self._accelerator.device)).min().item()  # type: ignore[union-attr]
        if first == math.inf:
            return
        if cost is None or step > first:
            raise TrainingError(f"a loss of another process is not finite in step {first:.0f}; its message says more")
        raise TrainingError(self._blamed(int(step), cost))

    def _not_finite(self, latest: Sequence[tuple[int, Cost]]) -> Iterator[tuple[int, Cost]]:
        """Those with a loss that is not finite; one look at the device tells whether there are any."""
        if not bool(torch.cat([value for _, cost in latest for value in _values(cost).values()]).isfinite().all()):
            yield from (kept for kept in latest if not all(v.isfinite().all() for v in _values(kept[1]).values()))

    def _blamed(self, step: int, cost: Cost) -> str:
        """Write the rows of a micro-batch to a file, and say which they are."""
        values = {name: value.mean().item() for name, value in _values(cost).items()}
        rows = [{"corpus": corpus, "id": row["id"]} for corpus, row in cost.rows]
        path = self._out / NOT_FINITE.format(process=self._accelerator.process_index)
        content = {"step": step, "values": {name: str(value) for name, value in values.items()}, "rows": rows}
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        found = [f"the {name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        shown = ", ".join(f"{row['corpus']}/{row['id']}" for row in rows[:SHOWN])
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        keys = [_key(name) for name, penalty in cost.losses.penalties.items() if not penalty.isfinite()]
        remedies = ["lower training.learning_rates", "lengthen training.warmup", *(f"lower {key}" for key in keys)]
        return f"{' and '.join(found)} in step {step}, rows {shown}{more} ({path}); {', or '.join(remedies)}"


def _values(cost: Cost) -> dict[str, Tensor]:
    """Each loss and penalty as a vector, with what it is."""
    tasks = {f"loss of task {task!r}": loss.total for task, loss in cost.losses.tasks.items()}
    penalties = {f"penalty {name!r} ({_key(name)})": penalty for name, penalty in cost.losses.penalties.items()}
    return {name: value.reshape(-1).float() for name, value in (tasks | penalties).items()}


def _key(penalty: str) -> str:
    """Of the weight of a penalty in a recipe."""
    return f"sharing.{KEYS.get(penalty, penalty)}"
