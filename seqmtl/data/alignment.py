"""Words to sub-words, and sentences longer than the encoder's limit to overlapping windows.

All arithmetic is on piece counts per word, so nothing here depends on a tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Window:
    """A run of words that is encoded together.

    Attributes:
        start, stop: the words inside.
        owned_start, owned_stop: the words that take their state from this window; over all windows of a sentence these
            ranges follow one another without gap or overlap.
    """

    start: int
    stop: int
    owned_start: int
    owned_stop: int


def windows(piece_counts: Sequence[int], *, capacity: int, overlap: int) -> list[Window]:
    """Cut a sentence at word boundaries into windows of at most ``capacity`` pieces.

    Neighbouring windows share about ``overlap`` pieces; a shared word belongs to the window in which it stands farther
    from the cut, so that every word has context on both sides.

    Args:
        piece_counts: pieces of each word, each between 1 and ``capacity``.
        capacity: most pieces in a window, special pieces not counted.
        overlap: pieces that neighbouring windows share.

    Returns:
        The windows in order; none for an empty sentence.
    """
    assert all(1 <= count <= capacity for count in piece_counts)
    n_words = len(piece_counts)
    if n_words == 0:
        return []
    before = [0, *accumulate(piece_counts)]  # pieces before word i
    if before[-1] <= capacity:
        return [Window(0, n_words, 0, n_words)]
    ranges = _ranges(before, capacity=capacity, overlap=min(overlap, capacity // 2))
    cuts = [0]
    for (_, stop), (start, _) in pairwise(ranges):
        cuts.append((start + stop + 1) // 2)
    cuts.append(n_words)
    return [Window(*span, cuts[i], cuts[i + 1]) for i, span in enumerate(ranges)]


def _ranges(before: Sequence[int], *, capacity: int, overlap: int) -> list[tuple[int, int]]:
    """Greedy (start, stop) word ranges, each as long as fits, starting ``overlap`` pieces before the last one's end."""
    n_words = len(before) - 1
    ranges: list[tuple[int, int]] = []
    start = stop = 0
    while True:
        while stop < n_words and before[stop + 1] - before[start] <= capacity:
            stop += 1
        ranges.append((start, stop))
        if stop == n_words:
            return ranges
        following = stop
        # The next window must reach a new word: it may start only where word ``stop`` still fits.
        while (
            following > start + 1
            and before[stop] - before[following - 1] <= overlap
            and before[stop + 1] - before[following - 1] <= capacity
        ):
            following -= 1
        start = following
