"""The same work for several parts side by side, on the threads that torch may use."""

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import torch

_PROCESS = os.getpid()
_PAUSE_SOFT = 1  # omp_pause_soft of omp.h

Part = TypeVar("Part")
Result = TypeVar("Result")


def each(work: Callable[[Part], Result], parts: Sequence[Part], *, device: torch.device) -> list[Result]:
    """``work`` on all ``parts``, without gradient; on a CPU side by side, each with its share of torch's threads.

    Torch divides one operation among its threads, from which many small ones in a row gain little. It releases the
    interpreter while it computes, so they gain from threads of Python. A GPU runs the parts one after the other: there
    a thread has a stream of its own, which would not wait for the caller's.
    """
    threads = torch.get_num_threads() // len(parts)
    if len(parts) == 1 or threads == 0 or device.type != "cpu":
        with torch.no_grad():
            return [work(part) for part in parts]
    inference = torch.is_inference_mode_enabled()

    def detached(part: Part) -> Result:
        with torch.inference_mode(inference), torch.no_grad():  # each thread has switches of its own
            return work(part)

    _rest()
    return list(_pool(os.getpid(), len(parts), threads).map(detached, parts))


def _rest() -> None:
    """End the threads that OpenMP has for this one; the next operation that wants them starts them again, in 0.1 ms.

    After an operation GNU's OpenMP keeps them turning for some milliseconds, lest more work come, and where there are
    no more cores than threads they would take the cores from the parts.
    """
    if os.getpid() == _PROCESS and (pause := _pause()) is not None:  # a fork lacks those threads
        pause(_PAUSE_SOFT)


@cache
def _pause() -> Callable[[int], int] | None:
    """The OpenMP 5.0 function of the library that torch brings along; None: it is another OpenMP."""
    torch_folder = Path(torch.__file__).parent  # wheels have their libraries in one of two places
    bundled = sorted([*torch_folder.glob("lib/libgomp*.so*"), *torch_folder.parent.glob("torch.libs/libgomp*.so*")])
    return getattr(ctypes.CDLL(str(bundled[0])), "omp_pause_resource_all", None) if bundled else None


@lru_cache(maxsize=1)  # one that is not used any more ends its threads
def _pool(process: int, workers: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001  # a fork has no threads
    """``workers`` threads, in each of which torch uses ``threads``."""
    pool = ThreadPoolExecutor(workers)
    started = Barrier(workers)

    def start(_: int) -> None:
        torch.get_num_threads()  # on its first use a thread takes the number of all threads: let that be now
        torch.set_num_threads(threads)
        started.wait()  # so that every worker gets one call

    before = torch.get_num_threads()
    list(pool.map(start, range(workers)))
    torch.set_num_threads(before)  # theirs became the number of all threads to come
    return pool
