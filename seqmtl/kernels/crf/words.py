"""The real words of a batch without its padding, as in a packed sequence.

Letters: K decoders, B sentences, T words, N real words of the batch, X features.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Words(NamedTuple):
    """Where the real words are: sentences go from long to short, words by number, then by sentence."""

    sizes: list[int]  # for every t, how many sentences have a word number t
    sentences: Tensor  # [N], sentence of each word
    places: Tensor  # [N], index of each word into the B * T positions
    mirror: Tensor  # [N], index into N of the word as far from the end as this one is from the start
    before: Tensor  # [N - B], index into N of the word before, for all words but the first ones


def real_words(mask: Tensor) -> Words:
    """The words of ``mask`` ``[B, T]``, right-padded.

    Raises:
        AssertionError: a sentence does not begin with a word.
    """
    # The sizes are needed outside the device. NumPy does the rest there, at half of torch's cost per small operation.
    on_host = mask.numpy(force=True)
    assert on_host[:, 0].all(), "every sentence needs at least one word"
    lengths = on_host.sum(1)  # [B]
    order = np.argsort(-lengths, kind="stable")  # [B]
    ranked = lengths[order]
    times, ranks = np.nonzero(np.arange(ranked[0])[:, None] < ranked)  # [N] each
    sizes = np.bincount(times)  # [T]
    offsets = np.cumsum(sizes) - sizes
    mirror = offsets[ranked[ranks] - 1 - times] + ranks
    before = offsets[times[len(order) :] - 1] + ranks[len(order) :]
    sentences = order[ranks]
    arrays = (sentences, sentences * mask.shape[1] + times, mirror, before)
    return Words(sizes.tolist(), *(torch.from_numpy(array).to(mask.device) for array in arrays))


def n_sentences(words: Words) -> int:
    """B; the first B words are the first ones of their sentences."""
    return words.sizes[0]


def last_words(words: Words) -> Tensor:
    """Index of each sentence's last word into N, [B], in the order of the first ones."""
    return words.mirror[: words.sizes[0]]


def packed(positions: Tensor, words: Words) -> Tensor:
    """Take the words out of ``positions``, [K, B, T, X] -> [K, N, X]."""
    return positions.flatten(1, 2).index_select(1, words.places)


def unpacked(of_words: Tensor, words: Words, *, sentences: int, length: int) -> Tensor:
    """Put the words back into their places, [K, N, X] -> [K, B, T, X], with 0 where padded."""
    positions = of_words.new_zeros([of_words.shape[0], sentences * length, of_words.shape[2]])
    return positions.index_copy_(1, words.places, of_words).unflatten(1, [sentences, length])
