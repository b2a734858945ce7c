"""How the process treats memory that it has freed."""

import ctypes
from functools import lru_cache

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next step instead of handing it back to the system.

    A training step frees what the next one asks for again, and each page that the system gives anew costs a fault:
    on a CPU 6 to 15 % of a step of MiniLM. From then on the process holds as much as its largest step needed.
    ``train_recipe`` and ``evaluate_checkpoint`` call it; a program with a training loop of its own may, too.

    Returns:
        Whether the C library has such switches; glibc does.
    """
    switch = getattr(ctypes.CDLL(None), "mallopt", None)
    if switch is None:
        return False
    largest = 2**31 - 1
    chosen = {_M_MMAP_THRESHOLD: 2**30, _M_TRIM_THRESHOLD: largest, _M_TOP_PAD: 2**26}
    return all(switch(name, value) == 1 for name, value in chosen.items())
