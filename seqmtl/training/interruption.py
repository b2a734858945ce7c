"""Signals that ask a run to stop: it does so at the end of a step, where it can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

import torch
from accelerate import Accelerator
from torch import distributed

from seqmtl.errors import StoppedError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # of schedulers, when the machine is wanted back, and some time before


class Interruption:
    """Knows whether one of the processes was sent a signal, and tells all of them at the same step.

    With several processes each step starts a vote, one number per process, which is counted at the end of the next
    step: nobody waits for it. It has a group of its own on the CPU, so that an accelerator is not waited for either.
    """

    def __init__(self, accelerator: Accelerator, *, out: Path) -> None:
        """Nothing is listened to before this is entered; ``out`` is the run folder, for the message."""
        self._out = out
        self._group = distributed.new_group(backend="gloo") if accelerator.num_processes > 1 else None
        self._vote: tuple[torch.Tensor, distributed.Work] | None = None
        self._name = ""  # of the signal that came
        self._at_once = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Listen, where Python allows it: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        """Leave signals to whom they were left before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave

    def asked(self) -> bool:
        """Whether to stop here; all processes ask once per step, and have the same answer."""
        if self._group is None:
            return bool(self._name)
        if self._counted():
            return True  # and nobody would count another vote
        ballot = torch.tensor(float(bool(self._name)))
        work = distributed.all_reduce(ballot, group=self._group, async_op=True)
        assert work is not None
        self._vote = ballot, work
        return False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Where nothing would be lost: stop now if a process was asked to, or whenever this one is.

        Raises:
            StoppedError: when that happens.
        """
        if self._counted() or self._name:
            raise self.stopped()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def stopped(self) -> StoppedError:
        """The error that says so."""
        return StoppedError(
            f"stopped by {self._name or 'a signal to another process'}; {self._out} holds what the run needs to go on: "
            "give the same command again, with --resume auto"
        )

    def _counted(self) -> bool:
        """Whether anybody had been asked when the last vote began."""
        if self._vote is None:
            return False
        ballot, work = self._vote
        work.wait()
        self._vote = None
        return bool(ballot.item())

    def _note(self, number: int, _: FrameType | None) -> None:
        self._name = signal.Signals(number).name
        if self._at_once:
            raise self.stopped()
