"""Work that two processes do together, joined by gloo on this machine."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

import pytest
import torch
from accelerate.state import AcceleratorState
from launching import PATIENCE, end_with_parent

Result = TypeVar("Result")


def together(work: Callable[[], Result], *, processes: int = 2) -> list[Result]:
    """What each process returns from ``work``, by rank; it must be something to pickle, so no tensor.

    The processes are forks of this one: nothing is imported again, and ``work`` may be a closure. What goes wrong in
    one is an error here, with its traceback, and ends the others.
    """
    if torch.cuda.is_initialized():
        pytest.skip("this process has used a GPU, after which it cannot be forked")
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ends = [context.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        context.Process(target=_work, args=(work, rank, processes, port, theirs), daemon=True)
        for rank, (_, theirs) in enumerate(ends)
    ]
    for worker in workers:
        worker.start()
    for _, theirs in ends:
        theirs.close()  # else a process that dies would not end what is read from it
    results = []
    try:
        for rank, (ours, _) in enumerate(ends):
            assert ours.poll(PATIENCE), f"process {rank} has not finished"
            result, problem = ours.recv()
            assert problem is None, f"process {rank}:\n{problem}"
            results.append(result)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    return results


def _work(work: Callable[[], object], rank: int, processes: int, port: int, end: Connection) -> None:
    end_with_parent()
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    os.environ |= {key: str(value) for key, value in (places | where).items()}
    AcceleratorState._reset_state(reset_partial_state=True)  # this process's parent may be the only one of its kind
    try:
        end.send((work(), None))
    except BaseException:  # to be raised by the parent
        end.send((None, traceback.format_exc()))
