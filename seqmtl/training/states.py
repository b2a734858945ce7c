"""All that decides how a run goes on, in folders that are whole or not there.

Accelerate's ``save_state`` is not used: it pickles.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from seqmtl.errors import CheckpointError, TrainingError, cannot_write
from seqmtl.files import aside_of, remove_folder, sync
from seqmtl.training.folder import STATE
from seqmtl.training.record import read_record, write_record

NAME = re.compile(r"step-(\d{8,})")
SHARED = "shared"  # the record of what is the same in all processes; each has one of its own beside it


class Stateful(Protocol):
    """A part of a run that has a past: plain values and tensors, by name."""

    def state_dict(self) -> Mapping[str, Any]:
        """What it would need to go on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object:
        """Go on from there."""
        ...


class States:
    """The states of a run, in ``state/`` of its folder, the newest ``keep`` of them.

    Each is written aside by all processes, brought to the disk, then given its name: ``step-`` and the step. What has
    this name is whole. The processes see one file system.
    """

    def __init__(self, out: Path, *, keep: int, accelerator: Accelerator) -> None:
        """In the run folder ``out``; nothing is written yet."""
        self.folder = out / STATE
        self.keep = keep
        self.accelerator = accelerator

    def save(self, step: int, *, shared: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        """Write the state at the end of ``step``; every process calls this.

        Args:
            step: how many were taken.
            shared: what is the same in all processes.
            own: what this process has for itself.

        Raises:
            TrainingError: when it cannot be written, on all processes alike; older states are kept.
        """
        state = self.folder / f"step-{step:08d}"
        aside = aside_of(state)
        with self._together(aside):
            aside.mkdir(parents=True, exist_ok=True)
            if self.accelerator.is_main_process:
                _write(aside / SHARED, shared)
            _write(aside / self._own, own)
        with self._together(aside):
            if self.accelerator.is_main_process:
                sync(aside)
                aside.replace(state)
                sync(self.folder)
                for old in self.all()[: -self.keep]:
                    remove_folder(old)

    def newest(self) -> Path | None:
        """The newest state, if there is one."""
        found = self.all()
        return found[-1] if found else None

    def all(self) -> list[Path]:
        """The whole states, oldest first."""
        names = ((path, NAME.fullmatch(path.name)) for path in self.folder.glob("*"))
        found = {int(name[1]): path for path, name in names if name}
        return [found[step] for step in sorted(found)]

    def clear(self) -> None:
        """Remove all states, at once; one process calls this."""
        remove_folder(self.folder)

    def read_shared(self, state: Path) -> dict[str, Any]:
        """What ``save`` was given as shared.

        Raises:
            CheckpointError: when the state is broken.
        """
        return _read(state / SHARED)

    def read_own(self, state: Path) -> dict[str, Any]:
        """What ``save`` was given as this process's own.

        Raises:
            CheckpointError: when the state is broken.
        """
        return _read(state / self._own)

    @property
    def _own(self) -> str:
        return f"process-{self.accelerator.process_index}"

    @contextmanager
    def _together(self, aside: Path) -> Iterator[None]:
        """What cannot be written by one process is an error on all, and none waits for the others for ever."""
        problem = ""
        try:
            yield
        except (OSError, SafetensorError) as error:
            problem = cannot_write(error)
        failed = torch.tensor(float(bool(problem)), device=self.accelerator.device)
        if self.accelerator.reduce(failed).item():  # type: ignore[union-attr]  # a tensor, as it was given one
            shutil.rmtree(aside, ignore_errors=True)
            raise TrainingError(f"{aside.parent}: {problem or 'another process cannot write its part'}")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_record(path, content)
    for file in path.parent.glob(f"{path.name}.*"):
        sync(file)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_record(path)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"{path.parent}: is broken: {path.name}: {error}; remove it, to go on from the state before it or to start "
            "at the beginning"
        ) from None
