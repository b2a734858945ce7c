"""The source of every choice that the grammar makes for one sentence."""

import random
from collections.abc import Sequence
from typing import TypeVar

from seqmtl.data.toy.wordlist import Split, WordList

Choice = TypeVar("Choice")


class Dice:
    """A private random number generator that knows which split it writes for.

    Args:
        rng: owned by one sentence, so that a sentence never depends on the ones before it.
        split: decides which words :meth:`word` may return.
    """

    def __init__(self, rng: random.Random, *, split: Split) -> None:
        self._rng = rng
        self._split = split

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._rng.random() < probability

    def pick(self, options: Sequence[Choice]) -> Choice:
        """One option, all equally likely."""
        return options[int(self._rng.random() * len(options))]

    def weighted(self, options: Sequence[Choice], *, cumulative: Sequence[float]) -> Choice:
        """One option by cumulative weights."""
        return self._rng.choices(options, cum_weights=cumulative)[0]

    def number(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self._rng.random() * (high - low + 1))

    def word(self, words: WordList[Choice]) -> Choice:
        """An open-class word that the split may use."""
        return words.draw(self._rng, self._split)
