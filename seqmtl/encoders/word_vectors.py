"""Pretrained word vectors from GloVe and word2vec text files."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from seqmtl.errors import DataError
from seqmtl.specs.packages import locate


def read_vectors(reference: str, *, dim: int, wanted: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (id, vector) for each word of ``wanted`` that a GloVe or word2vec text file holds.

    Each line is a word and ``dim`` numbers with single spaces between; a word2vec header line is skipped; ``.gz`` is
    read as it is.

    Raises:
        DataError: naming the file and, for a line with too few values or one that is no number, the line; when the
            file's vectors do not have ``dim`` values.
    """
    for place, word, values in _entries(reference, dim=dim):
        if word in wanted:
            yield wanted[word], _numbers(values, place)


def first_words(reference: str, *, dim: int, count: int) -> list[str]:
    """The first ``count`` words of such a file, which are the most frequent ones in GloVe's and word2vec's.

    Raises:
        DataError: as ``read_vectors``.
    """
    return [word for _, word, _ in islice(_entries(reference, dim=dim), count)]


def _entries(reference: str, *, dim: int) -> Iterator[tuple[str, str, list[str]]]:
    """The place, word and values of each line of a file."""
    path = Path(locate(reference)).expanduser()
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            yield from _split(lines, path, dim=dim)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file of word vectors: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot read word vectors: {error}; see encoder.vectors in the recipe") from None


def _split(lines: Iterable[str], path: Path, *, dim: int) -> Iterator[tuple[str, str, list[str]]]:
    known_size = False
    for number, line in enumerate(lines, start=1):
        parts = line.rstrip().split(" ")
        if number == 1 and _is_header(parts):
            continue
        # Some words of GloVe hold spaces, so the vector is the last ``dim`` fields; but none of its first words does.
        if len(parts) <= dim or (not known_size and len(parts) != dim + 1):
            raise DataError(f"{path}:{number}: {len(parts) - 1} values, expected encoder.word_dim = {dim}")
        known_size = True
        yield f"{path}:{number}", " ".join(parts[:-dim]), parts[-dim:]


def _is_header(parts: list[str]) -> bool:
    """Whether a line is word2vec's first: how many words, and how many values each."""
    return len(parts) == 2 and all(part.isdecimal() for part in parts)


def _numbers(values: list[str], place: str) -> np.ndarray:
    try:
        return np.array(values, dtype=np.float32)
    except ValueError as error:
        raise DataError(f"{place}: a value is not a number: {error}") from None
