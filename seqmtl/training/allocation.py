"""How the process treats memory that it has freed."""

import ctypes
import sys
from functools import lru_cache

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next step instead of handing it back to the system.

    A training step frees what the next one asks for again, and each page that the system gives anew costs a fault
    (``scripts/benchmark_meta_lstm.py`` times both ways). From then on the process holds as much as its largest step
    needed. ``train_recipe`` and ``evaluate_checkpoint`` call it; a program with a training loop of its own may, too.

    Returns:
        Whether the C library has such switches; glibc does.
    """
    switch = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if switch is None:
        return False
    accepted = [switch(_M_TRIM_THRESHOLD, 2**31 - 1), switch(_M_TOP_PAD, 2**26)]
    accepted.append(switch(_M_MMAP_THRESHOLD, 2**30) or switch(_M_MMAP_THRESHOLD, 2**25))  # all that older ones accept
    return all(accepted)
