"""Length-bucketed batches under a budget of words."""

from collections.abc import Sequence

import numpy as np

POOL = 64  # batches that are sorted together: longer pools pad less, shorter ones mix lengths better


def cut_batches(
    lengths: Sequence[int], *, budget: int, max_sentences: int, rng: np.random.Generator | None
) -> list[list[int]]:
    """Group sentences of like length so that ``longest * sentences <= budget`` in each batch.

    Args:
        lengths: length of each sentence.
        budget: padded length of a batch; a sentence longer than it makes a batch of its own.
        max_sentences: most sentences in a batch.
        rng: shuffles sentences into pools and the batches at the end; None sorts everything, longest first.

    Returns:
        The positions of each batch's sentences; every sentence is in exactly one batch.
    """
    sizes = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    if rng is None:
        return _cut(np.argsort(-sizes, kind="stable"), sizes, budget, max_sentences)
    order = rng.permutation(len(sizes))
    pool = max(1, round(POOL * budget / float(sizes.mean()))) if len(sizes) else 1
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        batches += _cut(part[np.argsort(sizes[part], kind="stable")], sizes, budget, max_sentences)
    return [batches[position] for position in rng.permutation(len(batches))]


def _cut(order: np.ndarray, sizes: np.ndarray, budget: int, max_sentences: int) -> list[list[int]]:
    """Cut sentences that are in order of length into batches, greedily."""
    batches: list[list[int]] = []
    longest = 0
    for position in order.tolist():
        longest = max(longest, int(sizes[position]))
        full = not batches or len(batches[-1]) >= max_sentences or longest * (len(batches[-1]) + 1) > budget
        if full:
            batches.append([])
            longest = int(sizes[position])
        batches[-1].append(position)
    return batches


def deal(batch: Sequence[int], lengths: Sequence[int], *, shards: int) -> list[list[int]]:
    """Split a batch into ``shards`` parts of like length, as cards are dealt: longest first, forth and back.

    The union is the batch whatever the number of shards; a part may be empty when there are fewer sentences.
    """
    order = sorted(batch, key=lambda position: -lengths[position])
    parts: list[list[int]] = [[] for _ in range(shards)]
    for turn, position in enumerate(order):
        lap, seat = divmod(turn, shards)
        parts[seat if lap % 2 == 0 else shards - 1 - seat].append(position)
    return parts
