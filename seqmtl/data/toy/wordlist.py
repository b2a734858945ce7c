"""Word lists that keep some of their words from the training split.

Every lemma has one home for good, decided by a checksum of its spelling: `train` (six in eight), `dev` or `test`
(one in eight each). Train draws from the words at home in train only; dev and test draw from them too, but now and then
from their own reserve, so that about a fifth of their open-class words were never seen in training.
"""

import random
from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import accumulate
from typing import Generic, TypeVar
from zlib import crc32

from seqmtl.data.toy.morphology import is_irregular_verb

Entry = TypeVar("Entry")

RESERVE_RATE = 0.22  # how often an open-class draw of dev or test comes from its reserve
_ZIPF_OFFSET, _ZIPF_EXPONENT = 4, 0.8  # flatter than real text: a few thousand sentences must show most of the lexicon

# Ambiguous words whose two readings the training data must show.
_ALWAYS_TRAIN = frozenset(
    "plan report run visit attack offer promise study order review claim open close light clean dry empty present "
    "Jordan Florence Austin Lincoln Madison Charlotte Mark Will May Rose Grace Frank Hope Bill Harper Chelsea".split()
)


class Split(StrEnum):
    """The three parts of the corpus."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


def home(lemma: str) -> Split:
    """The split whose reserve holds ``lemma``, or train when every split may use it.

    >>> str(home("plan"))
    'train'
    """
    if lemma in _ALWAYS_TRAIN or is_irregular_verb(lemma):
        return Split.TRAIN
    return {6: Split.DEV, 7: Split.TEST}.get(crc32(lemma.lower().encode()) % 8, Split.TRAIN)


class WordList(Generic[Entry]):
    """Entries in order of falling frequency, with a reserve for dev and for test.

    Args:
        entries: the entries; those at home in train are drawn with Zipf-like weights by their order.
        lemma_of: the spelling that decides an entry's home.
    """

    def __init__(self, entries: Iterable[Entry], *, lemma_of: Callable[[Entry], str]) -> None:
        housed = [(home(lemma_of(entry)), entry) for entry in entries]
        self.common = [entry for where, entry in housed if where is Split.TRAIN]
        self.reserve = {
            split: [entry for where, entry in housed if where is split] for split in (Split.DEV, Split.TEST)
        }
        self._weights = list(accumulate((rank + _ZIPF_OFFSET) ** -_ZIPF_EXPONENT for rank in range(len(self.common))))

    def draw(self, rng: random.Random, split: Split) -> Entry:
        """Draw one entry as ``split`` does."""
        reserve = self.reserve.get(split)
        if reserve and rng.random() < RESERVE_RATE:
            return reserve[int(rng.random() * len(reserve))]
        return rng.choices(self.common, cum_weights=self._weights)[0]


def words(text: str) -> WordList[str]:
    """A list of the words in ``text``, where an underscore stands for a blank inside a name."""
    return WordList([word.replace("_", " ") for word in text.split()], lemma_of=str)
