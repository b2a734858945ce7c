"""Rows from sentences: seeding, and the checksum that keeps a sentence in one split."""

import random
from zlib import crc32

from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.sentences import sentence
from seqmtl.data.toy.tree import to_row
from seqmtl.data.toy.wordlist import Split
from seqmtl.errors import DataError, nearest

_LONGEST = 40  # words; a longer sentence is drawn again


def generate(split: str, *, n: int, seed: int = 0) -> list[dict[str, object]]:
    """Generate ``n`` sentences with all their layers.

    The same arguments give the same rows on every machine, and the rows of a smaller ``n`` are the first rows of a
    larger one: a row depends on ``seed``, ``split`` and its number only. No sentence occurs in two splits, whatever the
    seeds.

    Args:
        split: ``train``, ``dev`` or ``test``; decides which words may occur.
        n: how many sentences.
        seed: another seed gives other sentences from the same grammar and lexicon.

    Returns:
        Canonical rows: ``id``, ``tokens``, ``upos``, ``xpos``, ``chunk_tags``, ``ner_tags`` and ``srl_frames``.

    Raises:
        DataError: if there is no such split.
    """
    if split not in [member.value for member in Split]:
        raise DataError(f"the toy corpus has no split {split!r}; {nearest(split, list(Split))}")
    return [{"id": f"toy-{split}-{index:05d}", **_row(Split(split), index, seed)} for index in range(n)]


def _row(split: Split, index: int, seed: int) -> dict[str, object]:
    rng = random.Random(f"{seed}/{split}/{index}")  # a string is hashed by SHA-512, not by PYTHONHASHSEED
    while True:
        tree = sentence(Dice(rng, split=split))
        row = to_row(tree)
        tokens = row["tokens"]
        assert isinstance(tokens, list)
        if len(tokens) <= _LONGEST and _split_of(tokens) is split:
            return row


def _split_of(tokens: list[str]) -> Split:
    """The one split in which a sentence may occur."""
    remainder = crc32(" ".join(tokens).encode()) % 4
    return {2: Split.DEV, 3: Split.TEST}.get(remainder, Split.TRAIN)
