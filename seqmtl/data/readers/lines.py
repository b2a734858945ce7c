"""Numbered lines of a text file, plain or gzip."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from seqmtl.errors import DataError, nearest


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(number, line)`` from 1, without the line end (only LF or CRLF ends one) and byte-order mark.

    Raises:
        DataError: the file is missing, cut short, not gzip in spite of its name, or not UTF-8.
    """
    number = 0
    try:
        with _open(path) as stream:
            for number, raw in enumerate(stream, start=1):
                yield number, _text(raw, path, number).rstrip("\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}:{number + 1}: the gzip file is broken after line {number} ({error}); fetch it again"
        ) from None


def _open(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))
    except FileNotFoundError:
        raise DataError(f"{path}: {_missing(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _text(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = raw[error.start : error.start + 1].hex()
        raise DataError(
            f"{path}:{number}: byte 0x{found} at position {error.start} of the line is not UTF-8; "
            "convert the file, e.g. with iconv -f latin1 -t utf-8"
        ) from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}; set the corpus's 'path' to where its files are"
    return f"there is no such file in the folder; {nearest(path.name, [file.name for file in path.parent.iterdir()])}"
