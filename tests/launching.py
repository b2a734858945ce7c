"""Programs that tests start: none is waited for without end, and one that hangs says where."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

PATIENCE = 480  # seconds for what takes a few: a busy machine must not fail a test
# One thread each, and the stack of every thread when it is aborted.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONFAULTHANDLER": "1"}


def torchrun(processes: int) -> list[str]:
    """The beginning of a command that starts so many processes, which `accelerate launch --cpu` of 1.15 does not."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]


def start(command: list[str], *, folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a program whose output is kept."""
    return subprocess.Popen(
        command, env=ENVIRONMENT, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What came of a program; one that takes too long fails the test with the stacks of all that it started."""
    try:
        shown, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(psutil.NoSuchProcess):
            for started in psutil.Process(process.pid).children(recursive=True):
                started.send_signal(signal.SIGABRT)
        process.send_signal(signal.SIGABRT)
        _, errors = process.communicate(timeout=PATIENCE)
        pytest.fail(f"not finished after {PATIENCE} s:\n{errors}")
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, shown, errors)


def run(command: list[str], *, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Start a program and wait for it."""
    return ended(start(command, folder=folder))
