import pytest

from seqmtl.errors import DataError
from seqmtl.evaluation import PRF, predicate_counts, predicate_scores

GOLD = [[1, 4], [], {2}, [0]]
PREDICTED = [[1, 3], [0], [2, 2], []]


def test_hand_worked_predicates():
    score = predicate_scores(GOLD, PREDICTED)
    assert score.main == "f1"
    assert score.per_label == {"predicate": PRF(correct=2, predicted=4, gold=4)}
    assert score.values == {"f1": 0.5, "precision": 0.5, "recall": 0.5}


def test_counts_are_one_row_per_sentence():
    assert predicate_counts(GOLD, PREDICTED).tolist() == [[1, 2, 2], [0, 1, 0], [1, 1, 1], [0, 0, 1]]


def test_no_predicate_anywhere_gives_zero():
    assert predicate_scores([[]], [[]]).values == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


def test_sides_that_differ_in_shape_are_refused():
    with pytest.raises(DataError, match=r"gold has 2 sentences and predicted has 1"):
        predicate_scores([[], []], [[]])
