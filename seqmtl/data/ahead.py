"""What is needed next is made while something else is done."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """As ``map``, but a thread makes the next one while whoever asks is busy with the present one.

    Items are taken by who asks, one more than have been given; an error of ``make`` is raised in place of its result.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="seqmtl-ahead") as thread:
        coming: Future[Made] | None = None
        for item in items:
            present, coming = coming, thread.submit(make, item)
            if present is not None:
                yield present.result()
        if coming is not None:
            yield coming.result()
