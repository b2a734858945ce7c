"""Column files of the CoNLL shared tasks: one word per line, an empty line after each sentence."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from seqmtl.data.readers.lines import numbered_lines
from seqmtl.data.readers.record import Record
from seqmtl.data.rows import ID
from seqmtl.errors import DataError

Separator = Literal["whitespace", "tab", "space"]

DOCUMENT_MARK = "-DOCSTART-"


def read_conll(
    path: Path, *, columns: Mapping[str, int], separator: Separator = "whitespace", comments: str | None = None
) -> Iterator[Record]:
    """Yield the sentences of ``path``; ``columns`` says where the tokens and each layer are (-1 is the last column).

    A line that is empty, or holds but spaces and tabs, ends a sentence. Lines that begin with ``comments`` and
    ``-DOCSTART-`` lines are skipped. A row's id is its number in the file, from 1.

    Raises:
        DataError: a line lacks a column; the message names file and line.
    """
    words: list[list[str]] = []
    lines: list[int] = []
    number = 0
    for line, text in numbered_lines(path):
        blank = not text.strip(" \t")  # a no-break space is a token
        if blank and words:
            number += 1
            yield _record(number, words, lines, path, columns)
            words, lines = [], []
        elif not blank and not text.startswith(DOCUMENT_MARK) and not (comments and text.startswith(comments)):
            cells = _split(text, separator)
            words.append([_cell(cells, name, columns[name], f"{path}:{line}") for name in columns])
            lines.append(line)
    if words:
        yield _record(number + 1, words, lines, path, columns)


def _record(number: int, words: list[list[str]], lines: list[int], path: Path, columns: Mapping[str, int]) -> Record:
    by_column = [list(column) for column in zip(*words, strict=True)]
    row = {ID: str(number)} | dict(zip(columns, by_column, strict=True))
    return Record(row, str(path), lines[0], lines)


def _split(text: str, separator: Separator) -> list[str]:
    match separator:
        case "tab":
            return text.split("\t")
        case "space":
            return text.split(" ")
        case "whitespace":  # not str.split, which would also cut at the no-break spaces within a token
            return [cell for cell in re.split(r"[ \t]+", text) if cell]


def _cell(cells: list[str], name: str, column: int, place: str) -> str:
    if not -len(cells) <= column < len(cells):
        raise DataError(
            f"{place}: {name!r} is column {column}, but the line has {len(cells)} columns (from 0): {cells!r}; "
            "mend the line, or set 'columns' or 'separator' of the corpus"
        )
    return cells[column]
