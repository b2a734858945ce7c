"""Is one system better than another on these sentences, or was it luck? The paired bootstrap.

N = sentences, S = samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqmtl.errors import DataError
from seqmtl.evaluation.tally import Counts

_CELLS_AT_ONCE = 2**22
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Comparison:
    """How much better the first system is than the second.

    Attributes:
        delta: F1 (or accuracy) of the first minus that of the second, as a fraction.
        p_value: two-sided: how often a difference at least this large would come about if there were none.
        low: lower end of the 95 % percentile interval of ``delta``.
        high: upper end of it.
    """

    delta: float
    p_value: float
    low: float
    high: float


def paired_bootstrap(a: Counts, b: Counts, *, samples: int = 1000, seed: int = 0) -> Comparison:
    """Compare two systems on the same sentences.

    Sentences are drawn with replacement, the same for both systems, and the score is computed from the summed counts.
    As in Berg-Kirkpatrick, Burkett and Klein (2012), "An empirical investigation of statistical significance in NLP",
    the differences of the samples are shifted by ``delta`` to stand for the null hypothesis. Deviations: the test has
    two sides, and the p-value is (hits + 1) / (samples + 1), which is never 0.

    Args:
        a: correct, predicted and gold items of every sentence, ``[N, 3]``, from a ``*_counts`` function.
        b: the same for the other system, ``[N, 3]``.
        samples: how many times the sentences are drawn; it bounds the p-value from below.
        seed: of the draws.

    Returns:
        The difference of ``a`` minus ``b`` with its p-value and interval.

    Raises:
        DataError: if the arrays are empty or differ in shape.
    """
    if a.shape != b.shape or a.ndim != 2 or a.shape[-1] != 3 or len(a) == 0:
        raise DataError(
            f"cannot compare counts of shapes {a.shape} and {b.shape}; "
            "give the counts of the same sentences, at least one, as two arrays [sentences, 3]"
        )
    ours, theirs = a.astype(np.float64), b.astype(np.float64)  # float for BLAS: integers this small are exact in it
    delta = float(_f1(ours.sum(axis=0)) - _f1(theirs.sum(axis=0)))
    draws = _draws(len(a), samples, seed)
    deltas = np.concatenate([_f1(times @ ours) - _f1(times @ theirs) for times in draws])  # [S]
    hits = int((np.abs(deltas - delta) >= abs(delta) - _ROUNDING).sum())
    low, high = np.quantile(deltas, [0.025, 0.975])
    return Comparison(delta=delta, p_value=(hits + 1) / (samples + 1), low=float(low), high=float(high))


def _draws(sentences: int, samples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each sentence is drawn in each sample, some samples at a time to bound the memory."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // sentences)
    for start in range(0, samples, step):
        size = min(step, samples - start)
        drawn = rng.integers(sentences, size=(size, sentences)) + sentences * np.arange(size)[:, None]  # [S, N]
        times = np.bincount(drawn.ravel(), minlength=size * sentences)  # [S*N]
        yield times.reshape(size, sentences).astype(np.float64)  # [S, N]


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of summed counts ``[..., 3]``; 0 where it is undefined. Of counts (correct, n, n) it is the accuracy."""
    whole = counts[..., 1] + counts[..., 2]
    return 2 * counts[..., 0] / np.maximum(whole, 1)
