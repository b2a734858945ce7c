from hypothesis import given
from hypothesis import strategies as st

from seqmtl.evaluation import PRF, TaskScore

counts = st.integers(0, 50)


def test_undefined_ratios_are_zero():
    nothing = PRF(correct=0, predicted=0, gold=0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)
    assert (PRF(0, 0, 3).precision, PRF(0, 3, 0).recall) == (0.0, 0.0)


def test_hand_worked_ratios():
    prf = PRF(correct=3, predicted=4, gold=6)
    assert (prf.precision, prf.recall, prf.f1) == (0.75, 0.5, 0.6)


@given(correct=st.integers(1, 50), spurious=counts, missed=counts)
def test_f1_is_the_harmonic_mean(correct, spurious, missed):
    prf = PRF(correct, correct + spurious, correct + missed)
    assert abs(prf.f1 - 2 / (1 / prf.precision + 1 / prf.recall)) < 1e-12


def test_main_value_and_support():
    score = TaskScore(main="f1", values={"f1": 0.5, "accuracy": 0.9}, per_label={"A": PRF(1, 2, 3), "B": PRF(0, 0, 4)})
    assert (score.main_value, score.support) == (0.5, 7)
