"""One run at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator

from seqmtl.errors import ConfigError


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep others out of a run folder.

    This is an advisory lock on the folder itself, so nothing is left behind, and the end of the process ends it, too.
    Where the file system has no such locks, as NFS, nobody is kept out.

    Raises:
        ConfigError: when somebody else has locked it.
    """
    folder = os.open(out, os.O_RDONLY)
    try:
        if not _lock(folder):
            raise _in_use(out)
        yield
    finally:
        os.close(folder)


@contextmanager
def alone_in(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """The same for processes that train together: the first has the lock; every process enters this.

    Raises:
        ConfigError: on all processes, when somebody else has locked it.
    """
    problem: ConfigError | None = None
    with ExitStack() as held:
        try:
            if accelerator.is_main_process:
                held.enter_context(locked(out))
        except ConfigError as error:
            problem = error
        failed = torch.tensor(float(problem is not None), device=accelerator.device)
        if accelerator.reduce(failed).item():  # type: ignore[union-attr]  # a tensor, as it was given one
            raise problem or _in_use(out)
        yield


def _in_use(out: Path) -> ConfigError:
    return ConfigError(f"{out}: another run is writing to it; wait until it ends, or choose another --out")


def _lock(folder: int) -> bool:
    """Whether nobody else has locked a folder, which then is locked."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no such locks
        return True
    return True
