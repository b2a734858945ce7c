from itertools import product

import numpy as np
import pytest

from seqmtl.errors import DataError
from seqmtl.evaluation import PRF, bootstrap, paired_bootstrap, token_counts, token_scores


def random_counts(rng, *, sentences, rate):
    """Counts of a system that finds each of a few gold items with probability ``rate``."""
    gold = rng.integers(0, 6, size=sentences)
    correct = rng.binomial(gold, rate)
    predicted = correct + rng.integers(0, 3, size=sentences)
    return np.stack([correct, predicted, gold], axis=1)


def every_resample(a, b):
    """The difference in F1 of all N^N equally likely resamples, and of the sample itself."""
    n = len(a)
    draws = [list(draw) for draw in product(range(n), repeat=n)]
    deltas = [PRF(*a[draw].sum(axis=0)).f1 - PRF(*b[draw].sum(axis=0)).f1 for draw in draws]
    return np.array(deltas), PRF(*a.sum(axis=0)).f1 - PRF(*b.sum(axis=0)).f1


@pytest.mark.parametrize("seed", range(6))
def test_p_value_and_interval_approach_all_resamples(seed):
    rng = np.random.default_rng(seed)
    a, b = random_counts(rng, sentences=5, rate=0.9), random_counts(rng, sentences=5, rate=0.6)
    deltas, delta = every_resample(a, b)
    exact = (np.abs(deltas - delta) >= abs(delta) - 1e-12).mean()
    found = paired_bootstrap(a, b, samples=20_000, seed=seed)
    assert found.delta == pytest.approx(delta, abs=1e-12)
    assert found.p_value == pytest.approx(exact, abs=0.02)  # over 5 standard errors of 20,000 draws
    # the interval holds 95 % of the resamples, whatever steps their distribution has
    assert (deltas < found.low - 1e-9).mean() <= 0.035
    assert (deltas > found.high + 1e-9).mean() <= 0.035
    assert (deltas <= found.low + 1e-9).mean() >= 0.015
    assert (deltas >= found.high - 1e-9).mean() >= 0.015


def test_one_sentence_always_gives_the_same_difference():
    found = paired_bootstrap(np.array([[2, 2, 2]]), np.array([[1, 2, 2]]), samples=99)
    assert (found.delta, found.low, found.high, found.p_value) == (0.5, 0.5, 0.5, 1 / 100)


def test_identical_systems_do_not_differ():
    a = random_counts(np.random.default_rng(0), sentences=30, rate=0.8)
    assert paired_bootstrap(a, a.copy()) == bootstrap.Comparison(delta=0.0, p_value=1.0, low=0.0, high=0.0)


def test_systems_that_trade_sentences_evenly_do_not_differ():
    a, b = np.array([[1, 1, 1], [0, 1, 1]] * 20), np.array([[0, 1, 1], [1, 1, 1]] * 20)
    found = paired_bootstrap(a, b)
    assert (found.delta, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high


def test_swapping_the_systems_changes_the_sign_only():
    rng = np.random.default_rng(5)
    a, b = random_counts(rng, sentences=40, rate=0.8), random_counts(rng, sentences=40, rate=0.7)
    there, back = paired_bootstrap(a, b, seed=3), paired_bootstrap(b, a, seed=3)
    assert 1 / 1001 < there.p_value < 1
    assert (back.delta, back.p_value) == (-there.delta, there.p_value)
    assert (back.low, back.high) == (pytest.approx(-there.high, abs=1e-12), pytest.approx(-there.low, abs=1e-12))


def test_null_hypothesis_gives_p_values_spread_over_the_unit_interval():
    rng = np.random.default_rng(7)
    pairs = [[random_counts(rng, sentences=100, rate=0.8) for _ in range(2)] for _ in range(150)]
    p_values = [paired_bootstrap(a, b, samples=200, seed=number).p_value for number, (a, b) in enumerate(pairs)]
    # a uniform p-value: 10 % under 0.1 and a mean of one half; the bounds are four standard errors wide
    assert 0.0 < np.mean(np.array(p_values) < 0.1) < 0.2
    assert 0.4 < np.mean(p_values) < 0.6


def test_a_clear_difference_is_significant_and_more_samples_say_so_better():
    rng = np.random.default_rng(1)
    a, b = random_counts(rng, sentences=300, rate=0.95), random_counts(rng, sentences=300, rate=0.5)
    few, many = paired_bootstrap(a, b, samples=100), paired_bootstrap(a, b, samples=1000)
    assert (few.p_value, many.p_value) == (1 / 101, 1 / 1001)
    assert 0 < many.low < many.delta < many.high


def test_token_counts_give_the_difference_in_accuracy():
    gold, a, b = [["A", "B"], ["A"]], [["A", "B"], ["B"]], [["B", "A"], ["B"]]
    found = paired_bootstrap(token_counts(gold, a), token_counts(gold, b))
    assert found.delta == token_scores(gold, a).main_value - token_scores(gold, b).main_value


def test_resamples_without_any_item_score_zero_without_a_warning():
    a = np.array([[1, 1, 1], [0, 0, 0]])
    found = paired_bootstrap(a, np.zeros((2, 3), dtype=np.int64), samples=4000)
    assert (found.delta, found.low, found.high) == (1.0, 0.0, 1.0)
    # only the resamples without the first sentence, one in four, lie as far from the difference as 1
    assert found.p_value == pytest.approx(0.25, abs=0.03)


def test_seed_decides_the_result():
    rng = np.random.default_rng(2)
    a, b = random_counts(rng, sentences=40, rate=0.8), random_counts(rng, sentences=40, rate=0.75)
    assert paired_bootstrap(a, b, seed=1) == paired_bootstrap(a, b, seed=1)
    assert paired_bootstrap(a, b, seed=1) != paired_bootstrap(a, b, seed=2)


def test_drawing_in_several_blocks_gives_the_same_result(monkeypatch):
    rng = np.random.default_rng(4)
    a, b = random_counts(rng, sentences=37, rate=0.8), random_counts(rng, sentences=37, rate=0.7)
    whole = paired_bootstrap(a, b, samples=101)
    monkeypatch.setattr("seqmtl.evaluation.bootstrap._CELLS_AT_ONCE", 100)
    assert paired_bootstrap(a, b, samples=101) == whole


@pytest.mark.parametrize(("left", "right"), [((3, 3), (4, 3)), ((3, 2), (3, 2)), ((0, 3), (0, 3)), ((3,), (3,))])
def test_counts_that_cannot_be_compared_are_refused(left, right):
    with pytest.raises(DataError, match=r"cannot compare counts of shapes .* give the counts of the same sentences"):
        paired_bootstrap(np.zeros(left, dtype=np.int64), np.zeros(right, dtype=np.int64))
