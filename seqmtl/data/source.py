"""Where the rows of a corpus come from during training: memory, or a stream."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

import numpy as np
from datasets import IterableDataset

from seqmtl.data.rows import Row


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

    def draw(self, count: int, *, rng: np.random.Generator, epoch: int) -> list[Row]:  # noqa: ARG002  # the protocol's
        """Whole passes over the rows, and a random part of them for the remainder."""
        passes, rest = divmod(count, len(self.rows))
        extra = sorted(rng.permutation(len(self.rows))[:rest].tolist())
        return [*(row for _ in range(passes) for row in self.rows), *(self.rows[position] for position in extra)]


class StreamSource:
    """A corpus read as it comes; each epoch takes up where the last one stopped, and starts again at the end."""

    def __init__(self, dataset: IterableDataset) -> None:
        """Draw from ``dataset``; nothing is read yet."""
        self.dataset = dataset
        self._rows: list[Row] = []
        self._rewind()

    @property
    def size(self) -> None:
        """Nobody knows."""
        return None

    def draw(self, count: int, *, rng: np.random.Generator, epoch: int) -> list[Row]:  # noqa: ARG002  # the protocol's
        """Rows ``epoch * count`` up to ``(epoch + 1) * count`` of the endless stream, whatever was drawn before.

        Going forward reads on; going back to an earlier epoch reads the stream from its beginning.
        """
        if epoch < self._epoch:
            self._rewind()
        while self._epoch < epoch:
            self._rows = list(islice(self._stream, count))
            self._epoch += 1
        return self._rows

    def head(self, count: int) -> list[Row]:
        """The first rows of the stream; they are kept, and drawing starts with them without reading them again."""
        assert self._epoch < 0, "rows were drawn already"
        first_pass = iter(self._first_pass)
        rows = list(islice(first_pass, count))
        self._first_pass = chain(rows, first_pass)
        return rows

    def _rewind(self) -> None:
        self._epoch = -1
        self._first_pass: Iterable[Row] = self.dataset
        self._stream = self._endless()

    def _endless(self) -> Iterator[Row]:
        rows, empty = self._first_pass, False
        while not empty:
            empty = True
            for row in rows:
                empty = False
                yield row
            rows = self.dataset
