"""What happened during a run, line by line, and its curves as a picture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure  # without pyplot: no display is needed, and the user's backend stays

from seqmtl.errors import DataError, TrainingError, cannot_write
from seqmtl.files import sync, write_text
from seqmtl.sharing.base import Coupling
from seqmtl.sharing.coupling import coupling_from_json, coupling_to_json

HISTORY, CURVES = "history.jsonl", "training.png"


class History:
    """Appends a JSON object per event to ``history.jsonl``.

    ``train`` every few steps: mean losses per word since the last one, and mean penalties of the sharing scheme per
    step, where it has any. ``mixture`` per epoch: rows that were drawn from each corpus, the share that was asked for,
    and labelled words of each task. ``dev`` per evaluation: scores, and where the stream of batches stands.
    ``coupling`` at the start and at the end: what the sharing scheme has learned about its tasks; alpha, beta of
    layers and distance every ``log_coupling_every`` steps, too.
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


def read_couplings(folder: Path) -> list[tuple[int, Coupling]]:
    """The steps of a run at which its coupling was written, with what was; none without a history.

    Raises:
        DataError: naming the line that is broken.
    """
    path, found = folder / HISTORY, []
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            if event["kind"] == "coupling":
                found.append((event["step"], coupling_from_json(event["tables"])))
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
