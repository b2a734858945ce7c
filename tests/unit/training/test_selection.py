import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.training.selection import Selection


def test_the_best_mean_and_each_tasks_best_are_kept_with_their_epochs():
    selection = Selection(patience=None)
    assert selection.update({"a": 0.5, "b": 0.5}, 1)
    assert not selection.update({"a": 0.9, "b": 0.05}, 2)
    assert selection.update({"a": 0.6, "b": 0.7}, 3)
    assert (selection.best_mean, selection.best_epoch) == (pytest.approx(0.65), 3)
    assert selection.best_per_task == {"a": (0.9, 2), "b": (0.7, 3)}
    assert not selection.exhausted


def test_an_equal_mean_is_not_better():
    selection = Selection(patience=1)
    selection.update({"a": 0.5}, 1)
    assert not selection.update({"a": 0.5}, 2)
    assert selection.best_epoch == 1
    assert selection.exhausted


def test_zero_scores_are_still_a_first_best():
    assert Selection(patience=1).update({"a": 0.0}, 1)


def test_improved_names_the_tasks_that_beat_their_own_best():
    selection = Selection(patience=None)
    assert selection.improved({"a": 0.0}) == ["a"]
    selection.update({"a": 0.5, "b": 0.5}, 1)
    assert selection.improved({"a": 0.6, "b": 0.5}) == ["a"]
    assert selection.best_per_task["a"] == (0.5, 1)  # asking does not note


@given(means=st.lists(st.floats(0, 1), min_size=1, max_size=20), patience=st.integers(1, 4))
def test_patience_counts_evaluations_since_the_best(means, patience):
    selection = Selection(patience=patience)
    for epoch, mean in enumerate(means, start=1):
        selection.update({"a": mean}, epoch)
        first_best = means[:epoch].index(max(means[:epoch])) + 1
        assert selection.best_epoch == first_best
        assert selection.exhausted == (epoch - first_best >= patience)
