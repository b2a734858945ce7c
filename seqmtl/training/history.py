"""What happened during a run, line by line, and its curves as a picture."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure  # without pyplot: no display is needed, and the user's backend stays

from seqmtl.errors import DataError, TrainingError, cannot_write
from seqmtl.files import sync, write_text
from seqmtl.sharing.base import Coupling
from seqmtl.sharing.coupling import coupling_from_json, coupling_to_json

HISTORY, CURVES = "history.jsonl", "training.png"
META_ITERATION, BEST_DECODERS = "meta_iteration", "best_decoders"

Read = TypeVar("Read")


class History:
    """Appends a JSON object per event to ``history.jsonl``.

    ``train`` every few steps: mean losses per word since the last one, and mean penalties of the sharing scheme per
    step, where it has any. ``mixture`` per epoch: rows that were drawn from each corpus, the share that was asked for,
    and labelled words of each task. ``dev`` per evaluation: scores, and where the stream of batches stands.
    ``coupling`` at the start and at the end: what the sharing scheme has learned about its tasks; alpha, beta of
    layers and distance every ``log_coupling_every`` steps, too. With pseudo-tasks, ``meta_iteration``: control cost of
    each decoder of each task, which one led, by its number from 0, and dropout rates, where decoders have their own;
    all before decoders are updated. ``best_decoders`` before each evaluation: the same, of those that are evaluated.
    """

    def __init__(self, folder: Path) -> None:
        """In ``folder``, where nothing is written yet."""
        self.folder = folder
        self.events: list[dict[str, Any]] = []

    def start(self) -> None:
        """Begin an empty history."""
        self.events = []
        (self.folder / HISTORY).write_text("", encoding="utf-8")

    def add(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write one event.

        Raises:
            TrainingError: when it cannot be written, for example because the disk is full.
        """
        event = {"kind": kind, "step": step, **values}
        self.events.append(event)
        try:
            with (self.folder / HISTORY).open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise TrainingError(f"{self.folder / HISTORY}: {cannot_write(error)}") from None

    def add_coupling(self, step: int, coupling: Coupling) -> None:
        """Write what is shared at ``step``, once; a scheme without tables has nothing to write."""
        written = any(event["kind"] == "coupling" and event["step"] == step for event in self.events)
        if coupling.tables and not written:
            self.add("coupling", step, {"tables": coupling_to_json(coupling)})

    def state_dict(self) -> dict[str, int]:
        """How many events there are; they are brought to the disk, so that there are not fewer later."""
        sync(self.folder / HISTORY)
        return {"events": len(self.events)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after the first so many events; what was written after them has not happened."""
        path = self.folder / HISTORY
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[: state["events"]]
        write_text(path, "".join(kept))
        self.events = [json.loads(line) for line in kept]

    def plot(self) -> Path:
        """Draw the training loss and the dev score of each task over steps."""
        figure = Figure(figsize=(10, 4), layout="constrained")
        loss, score = figure.subplots(1, 2)
        _curves(loss, [event for event in self.events if event["kind"] == "train"], "losses")
        loss.set(title="training loss per task", xlabel="step", yscale="log")
        _curves(score, [event for event in self.events if event["kind"] == "dev"], "scores", marker="o")
        score.set(title="dev score per task", xlabel="step")
        path = self.folder / CURVES
        figure.savefig(path, dpi=120)
        return path


@dataclass(frozen=True)
class MetaIteration:
    """What was known of all decoders when a meta-iteration ended.

    Attributes:
        step: of training.
        costs: of each decoder of each task.
        leaders: the decoder of each task with the least cost, from 0.
        rates: of dropout, of each decoder of the tasks whose decoders have their own.
    """

    step: int
    costs: Mapping[str, Sequence[float]]
    leaders: Mapping[str, int]
    rates: Mapping[str, Sequence[float]]


def read_couplings(folder: Path) -> list[tuple[int, Coupling]]:
    """The steps of a run at which its coupling was written, with what was; none without a history.

    Raises:
        DataError: naming the line that is broken.
    """
    return _read(folder, "coupling", lambda event: (event["step"], coupling_from_json(event["tables"])))


def read_meta_iterations(folder: Path) -> list[MetaIteration]:
    """The meta-iterations of a run; none without a history, or without pseudo-tasks.

    Raises:
        DataError: naming the line that is broken.
    """
    return _read(folder, META_ITERATION, _meta_iteration)


def _meta_iteration(event: Mapping[str, Any]) -> MetaIteration:
    costs, rates = ({task: list(map(float, event[key][task])) for task in event[key]} for key in ("costs", "rates"))
    leaders = {task: int(event["leaders"][task]) for task in costs}
    return MetaIteration(event["step"], costs, leaders, rates)


def _read(folder: Path, kind: str, build: Callable[[dict[str, Any]], Read]) -> list[Read]:
    """What ``build`` makes of each event of a kind."""
    path, found = folder / HISTORY, []
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            if event["kind"] == kind:
                found.append(build(event))
        except (ValueError, TypeError, KeyError, DataError) as error:
            raise DataError(f"{path}:{number}: is no event of a run: {error}; mend or remove the line") from None
    return found


def _curves(axes: Any, events: list[dict[str, Any]], key: str, marker: str = "") -> None:
    tasks = list(dict.fromkeys(task for event in events for task in event[key]))
    for task in tasks:
        points = [(event["step"], event[key][task]) for event in events if event[key].get(task) is not None]
        axes.plot(*zip(*points, strict=True), label=task, marker=marker)
    axes.grid(alpha=0.3)
    if tasks:
        axes.legend()
