"""How far a run has come."""

import time
from collections.abc import Mapping


class Course:
    """Counts steps and epochs, and the seconds of the current epoch.

    Attributes:
        step: steps that were taken.
        epoch: epochs that are finished, their evaluation included.
        seconds: that the current epoch took up to the last look at the clock, in processes that were killed, too.
    """

    def __init__(self) -> None:
        """At the start of a run."""
        self.step = 0
        self.epoch = 0
        self.seconds = 0.0
        self._since = time.perf_counter()

    def start_clock(self) -> None:
        """The epoch begins here, or goes on."""
        self._since = time.perf_counter()

    def read_clock(self) -> None:
        """Count the time since the last look."""
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now

    def finish_epoch(self) -> None:
        """One more epoch is done."""
        self.epoch += 1
        self.seconds = 0.0

    def state_dict(self) -> dict[str, float]:
        """All three numbers."""
        return {"step": self.step, "epoch": self.epoch, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from there."""
        self.step, self.epoch, self.seconds = int(state["step"]), int(state["epoch"]), state["seconds"]
