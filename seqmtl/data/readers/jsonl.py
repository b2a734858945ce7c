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
        DataError: a line is not a JSON object, or holds half a character; the message names file and line.
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
    _check_characters(text, row, place)
    return row


def _check_characters(text: str, row: dict[str, Any], place: str) -> None:
    r"""Refuse ``\ud83d`` without its other half: JSON lets it pass, but no file of UTF-8 or Arrow can hold it."""
    if "\\ud" not in text.lower():
        return
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(
            f"{place}: {half} is one half of a character (a lone surrogate); "
            "write both halves, as in \\ud83d\\ude00, or replace it by \\ufffd"
        ) from None
