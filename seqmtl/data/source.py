"""Where the rows of a corpus come from during training: memory, or a stream."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
from datasets import IterableDataset

from seqmtl.data.tasks import Row


class Source(Protocol):
    """Rows to draw from; ``size`` is None when nobody knows it."""

    @property
    def size(self) -> int | None:
        """Rows there are."""
        ...

    def draw(self, count: int, *, rng: np.random.Generator, epoch: int) -> Sequence[Row]:
        """Draw ``count`` rows for ``epoch``."""
        ...


class ListSource:
    """A corpus in memory; drawing more rows than there are takes each equally often before any once more."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Draw from ``rows``."""
        self.rows = rows

    @property
    def size(self) -> int:
        """Rows there are."""
        return len(self.rows)

    def draw(self, count: int, *, rng: np.random.Generator, epoch: int) -> list[Row]:
        """Whole passes over the rows, and a random part of them for the remainder."""
        passes, rest = divmod(count, len(self.rows))
        extra = sorted(rng.permutation(len(self.rows))[:rest].tolist())
        return [*(row for _ in range(passes) for row in self.rows), *(self.rows[position] for position in extra)]


class StreamSource:
    """A corpus read as it comes; each epoch takes up where the last one stopped, and starts again at the end."""

    def __init__(self, dataset: IterableDataset) -> None:
        """Draw from ``dataset``."""
        self.dataset = dataset
        self._epoch = -1
        self._rows: list[Row] = []
        self._stream: Iterator[Row] | None = None

    @property
    def size(self) -> None:
        """Nobody knows."""
        return None

    def draw(self, count: int, *, rng: np.random.Generator, epoch: int) -> list[Row]:
        """The next ``count`` rows of the stream; drawing an epoch again gives the same rows."""
        while self._epoch < epoch:
            self._rows = list(islice(self._endless(), count))
            self._epoch += 1
        return self._rows

    def head(self, count: int) -> list[Row]:
        """The first rows of the stream; drawing starts before them all the same."""
        return list(islice(self.dataset, count))

    def _endless(self) -> Iterator[Row]:
        while True:
            if self._stream is None:
                self._stream = iter(self.dataset)
            yielded = False
            for row in self._stream:
                yielded = True
                yield row
            self._stream = None
            if not yielded:
                return
