"""What every reader yields: a row, and the place from which it was read."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmtl.data.rows import Row


@dataclass(frozen=True)
class Record:
    """A row as it was written, not yet checked.

    ``source`` is a file or dataset, ``line`` the first line of the row (from 1), ``word_lines`` the line of each word
    in the formats that have one.
    """

    row: Row
    source: str
    line: int | None = None
    word_lines: Sequence[int] = ()

    def place(self, word: int | None = None) -> str:
        """``file:line`` of the row, or of one of its words; the source alone where rows have no line."""
        if word is not None and word < len(self.word_lines):
            return f"{self.source}:{self.word_lines[word]}"
        return self.source if self.line is None else f"{self.source}:{self.line}"
