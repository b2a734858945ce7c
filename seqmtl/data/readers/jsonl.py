"""JSON lines: one canonical row per line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqmtl.data.readers.lines import numbered_lines
from seqmtl.data.readers.record import Record
from seqmtl.data.rows import ID, TOKENS
from seqmtl.errors import DataError


def read_jsonl(path: Path, *, layers: tuple[str, ...] | None = None) -> Iterator[Record]:
    """Yield the rows of ``path``; with ``layers``, other keys are dropped. A row without ``id`` gets its number.

    Raises:
        DataError: a line is not a JSON object; the message names file and line.
    """
    for number, (line, text) in enumerate(_filled(path), start=1):
        row = _object(text, f"{path}:{line}")
        if layers is not None:
            row = {key: value for key, value in row.items() if key in (ID, TOKENS, *layers)}
        yield Record({ID: str(number)} | row, str(path), line)


def _filled(path: Path) -> Iterator[tuple[int, str]]:
    return ((line, text) for line, text in numbered_lines(path) if text.strip())


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: is not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(row, dict):
        raise DataError(f"{place}: must be an object with the keys id and tokens, but is {type(row).__name__}")
    return row
