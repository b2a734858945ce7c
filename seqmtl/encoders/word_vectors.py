"""Pretrained word vectors from GloVe and word2vec text files."""

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from seqmtl.errors import DataError
from seqmtl.specs.packages import locate


def read_vectors(reference: str, *, dim: int, wanted: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (id, vector) for each word of ``wanted`` that a GloVe or word2vec text file holds.

    Each line is a word and ``dim`` numbers with single spaces between; a word2vec header line is skipped; ``.gz`` is read as it is.

    Raises:
        DataError: naming file and line, when a line has another number of values or one that is no number.
    """
    path = Path(locate(reference)).expanduser()
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                parts = line.rstrip("\n").rstrip().split(" ")
                if number == 1 and len(parts) == 2:
                    continue
                # Some words of GloVe hold spaces: the vector is the last ``dim`` fields.
                word = " ".join(parts[:-dim])
                if word not in wanted:
                    if len(parts) <= dim:
                        raise DataError(f"{path}:{number}: {len(parts) - 1} values, expected encoder.word_dim = {dim}")
                    continue
                yield wanted[word], np.array(parts[-dim:], dtype=np.float32)
    except ValueError as error:
        raise DataError(f"{path}: a value is not a number: {error}") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot read word vectors: {error}; see encoder.vectors in the recipe") from None
