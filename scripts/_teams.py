"""Training runs in processes of their own, which wait while others are timed."""

import multiprocessing
import os
import socket
import tempfile
import time
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from accelerate import Accelerator
from rich.console import Console

from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.allocation import keep_freed_memory
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare

PATIENCE = 20  # seconds in which they must end


class Team:
    """Processes that train one model together, a few steps whenever they are told."""

    def __init__(self, recipe: RecipeSpec, *, processes: int, threads: int, steps: int) -> None:
        """Start ``processes`` of so many ``threads`` each, for ``steps`` steps at a time of a resolved recipe."""
        context = multiprocessing.get_context("spawn")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ends = [context.Pipe() for _ in range(processes)]
        self._members = [
            context.Process(target=_member, args=(theirs, recipe, rank, processes, port, threads, steps), daemon=True)
            for rank, (_, theirs) in enumerate(ends)
        ]
        for member in self._members:
            member.start()
        self._ends: list[Connection] = [ours for ours, _ in ends]
        for end in self._ends:
            end.recv()  # is ready

    def train(self) -> float:
        """Take the next steps.

        Returns:
            Milliseconds for 1,000 words.
        """
        began = time.perf_counter()
        for end in self._ends:
            end.send(True)
        words = [end.recv() for end in self._ends]  # of the steps, on all processes
        return (time.perf_counter() - began) * 1e6 / words[0]

    def __enter__(self) -> Self:
        """These processes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End them."""
        for end in self._ends:
            end.send(False)
        for member in self._members:
            member.join(PATIENCE)
            member.kill()


def _member(
    end: Connection, recipe: RecipeSpec, rank: int, processes: int, port: int, threads: int, steps: int
) -> None:
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": threads}
    os.environ |= {key: str(value) for key, value in (places | where).items()}
    torch.set_num_threads(threads)
    keep_freed_memory()
    run = Run(
        prepare(recipe, folder=Path()),
        Path(tempfile.gettempdir()),  # in which nothing is written before a run begins
        console=Console(quiet=True),
        accelerator=Accelerator(cpu=True),
    )
    run.learner.wrapped.train()
    end.send(None)
    while end.recv():
        words = 0
        for lesson in islice(run.lessons(), steps):
            run.learn(lesson)
            words += sum(len(row["tokens"]) for _, row in lesson.step.rows)
        end.send(words)
    run.accelerator.end_training()
