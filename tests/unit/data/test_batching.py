"""Batches: every sentence once, within the budget, with little padding; dealt the same to any number of shards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.data.batching import cut_batches, deal

LENGTHS = st.lists(st.integers(0, 60), max_size=120)


@given(LENGTHS, st.integers(1, 200), st.integers(1, 20), st.none() | st.integers(0, 5))
def test_batches_hold_every_sentence_once_within_both_limits(
    lengths: list[int], budget: int, most: int, seed: int | None
):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = cut_batches(lengths, budget=budget, max_sentences=most, rng=rng)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        longest = max(lengths[position] for position in batch)
        assert longest * len(batch) <= budget or len(batch) == 1


def test_without_a_generator_the_longest_sentences_come_first():
    assert cut_batches([3, 9, 1, 9, 4], budget=18, max_sentences=9, rng=None) == [[1, 3], [4, 0, 2]]


def test_a_sentence_beyond_the_budget_stands_alone():
    assert cut_batches([5, 500, 5], budget=20, max_sentences=9, rng=None) == [[1], [0, 2]]


def test_the_seed_alone_decides_the_batches():
    lengths = np.random.default_rng(0).integers(1, 50, 500).tolist()

    def cut(seed: int) -> list[list[int]]:
        return cut_batches(lengths, budget=200, max_sentences=64, rng=np.random.default_rng(seed))

    assert cut(1) == cut(1)
    assert cut(1) != cut(2)


def test_batches_come_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(1, 50, 2000).tolist()
    batches = cut_batches(lengths, budget=200, max_sentences=64, rng=np.random.default_rng(1))
    longest = np.array([max(lengths[p] for p in batch) for batch in batches])
    assert abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.2


@pytest.mark.parametrize("shuffled", [True, False])
def test_padding_is_a_small_share_of_lengths_like_those_of_ewt(shuffled: bool):
    # EWT: mean 16.3 words, median 14, longest 160, many of one word or two.
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.gamma(1.9, 8.6, 12_544).astype(int), 1, 160).tolist()
    batches = cut_batches(lengths, budget=640, max_sentences=256, rng=rng if shuffled else None)
    padded = sum(len(batch) * max(lengths[p] for p in batch) for batch in batches)
    assert 1 - sum(lengths) / padded < 0.03
    assert len(batches) < 1.1 * sum(lengths) / 640


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(1, 8))
def test_dealing_keeps_the_batch_and_makes_even_parts(lengths: list[int], shards: int):
    batch = list(range(len(lengths)))
    parts = deal(batch, lengths, shards=shards)
    assert len(parts) == shards
    assert sorted(position for part in parts for position in part) == batch
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    # Dealt forth and back, two parts differ by less than the longest sentence.
    words = [sum(lengths[position] for position in part) for part in parts]
    assert max(words) - min(words) <= max(lengths)


def test_one_shard_is_the_whole_batch():
    assert deal([4, 2, 7], [0, 0, 1, 0, 3, 0, 0, 2], shards=1) == [[4, 7, 2]]
