"""Programs that tests start: none is waited for without end, one that hangs says where, and none outlives its test."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

PATIENCE = 300  # seconds for what takes a few: a busy machine must not fail a test
AT_ONCE = 30  # seconds for what has been told to end
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "PYTHONFAULTHANDLER": "1",  # the stack of every thread when it is aborted
    "GLOO_SOCKET_IFNAME": "lo",  # nobody has to be asked for this machine's name
}


def torchrun(processes: int) -> list[str]:
    """The beginning of a command that starts so many processes, which `accelerate launch --cpu` of 1.15 does not."""
    alone = ["--standalone", "--local_addr", "127.0.0.1"]
    return [sys.executable, "-m", "torch.distributed.run", *alone, "--nproc_per_node", str(processes)]


def start(command: list[str], *, folder: Path | None = None) -> subprocess.Popen[str]:
    """Start a program whose output is kept."""
    return subprocess.Popen(
        command, env=ENVIRONMENT, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What came of a program; one that takes too long fails the test with the stacks of all that it started."""
    with nothing_left(process):
        try:
            shown, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            for one in started(process):
                _tell(one, signal.SIGABRT)
            try:
                _, errors = process.communicate(timeout=AT_ONCE)
            except subprocess.TimeoutExpired as error:  # something else holds its output
                errors = (error.stderr or b"").decode(errors="replace")
            pytest.fail(f"not finished after {PATIENCE} s:\n{errors}")
    return subprocess.CompletedProcess(process.args, process.returncode, shown, errors)


def run(command: list[str], *, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Start a program and wait for it."""
    return ended(start(command, folder=folder))


@contextmanager
def nothing_left(process: subprocess.Popen[str]) -> Iterator[None]:
    """Where a program may run: afterwards neither it nor what it has started is left."""
    try:
        yield
    finally:
        for one in started(process):
            _tell(one, signal.SIGKILL)
        process.kill()


def started(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A program that still runs and all that it has started, those last started first."""
    try:
        itself = psutil.Process(process.pid)
        return [*reversed(itself.children(recursive=True)), itself]
    except psutil.NoSuchProcess:
        return []


def end_with_parent() -> None:
    """In a fork: be killed when the parent ends, whose pipes to the rest of the tests would stay open otherwise.

    Nothing in a fork may touch faulthandler, whose lock the parent's watch over the test holds.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _tell(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
