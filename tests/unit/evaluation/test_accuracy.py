import random

import pytest
from seqeval.metrics import accuracy_score

from seqmtl.errors import DataError
from seqmtl.evaluation import PRF, token_counts, token_scores

GOLD = [["DET", "NOUN", "VERB"], ["NOUN"], []]
PREDICTED = [["DET", "VERB", "VERB"], ["NOUN"], []]


def test_hand_worked_accuracy_and_labels():
    score = token_scores(GOLD, PREDICTED)
    assert (score.main, score.values, score.support) == ("accuracy", {"accuracy": 0.75}, 4)
    assert score.per_label == {"DET": PRF(1, 1, 1), "NOUN": PRF(1, 1, 2), "VERB": PRF(1, 2, 1)}


def test_counts_are_correct_n_n_for_each_sentence():
    assert token_counts(GOLD, PREDICTED).tolist() == [[2, 3, 3], [1, 1, 1], [0, 0, 0]]


def test_accuracy_equals_seqeval_on_random_tags():
    rng = random.Random(3)
    lengths = [rng.randint(1, 9) for _ in range(50)]
    gold, predicted = ([rng.choices("ABC", k=length) for length in lengths] for _ in range(2))
    assert token_scores(gold, predicted).main_value == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)


def test_no_word_gives_zero():
    assert token_scores([], []).main_value == 0.0
    assert token_scores([[]], [[]]).main_value == 0.0


def test_sides_that_differ_in_shape_are_refused():
    with pytest.raises(DataError, match=r"sentence 1: gold has 1 tags and predicted has 2; give one tag per word"):
        token_scores([["A"], ["A"]], [["A"], ["A", "B"]])
    with pytest.raises(DataError, match=r"gold has 1 sentences and predicted has 2"):
        token_counts([["A"]], [["A"], ["B"]])
