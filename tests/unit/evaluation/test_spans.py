import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, f1_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from seqeval.scheme import IOB1, IOB2, IOBES

from seqmtl.errors import DataError, LabelError
from seqmtl.evaluation import PRF, span_counts, span_scores
from seqmtl.evaluation.spans import span_items
from seqmtl.labels import Scheme, lenient_spans

SEQEVAL = {Scheme.IOB1: IOB1, Scheme.BIO: IOB2, Scheme.BIOES: IOBES}


def tags_in(scheme):
    return ["O", *(f"{prefix}-{label}" for prefix in scheme.prefixes if prefix != "O" for label in ("A", "C-A", "B-B"))]


def ill_formed(scheme, *, seed, sentences=40):
    """Random tags, most of which break the scheme; the second side repeats about half of the first."""
    rng = random.Random(seed)
    tags = tags_in(scheme)
    gold = [rng.choices(tags, k=rng.randint(1, 12)) for _ in range(sentences)]
    predicted = [[tag if rng.random() < 0.7 else rng.choice(tags) for tag in sentence] for sentence in gold]
    return gold, predicted


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_seqeval_on_ill_formed_tags(scheme, seed):
    gold, predicted = ill_formed(scheme, seed=seed)
    score = span_scores(gold, predicted, scheme=scheme)
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, average="micro", zero_division=0)
    strict = f1_score(gold, predicted, mode="strict", scheme=SEQEVAL[scheme], zero_division=0)
    expected = {
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "f1_strict": strict,
        "accuracy": accuracy_score(gold, predicted),
    }
    assert score.values == pytest.approx(expected, abs=1e-12)
    assert (score.main, score.support) == ("f1", support)
    assert 0 < score.values["f1"] < 1
    assert score.values["f1_strict"] != score.values["f1"]


@pytest.mark.parametrize("scheme", Scheme)
def test_per_label_counts_equal_seqeval(scheme):
    gold, predicted = ill_formed(scheme, seed=11)
    per_label = span_scores(gold, predicted, scheme=scheme).per_label
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, average=None, zero_division=0)
    # seqeval returns its labels in alphabetical order
    assert list(per_label) == ["A", "B-B", "C-A"]
    assert [prf.precision for prf in per_label.values()] == pytest.approx(precision.tolist(), abs=1e-12)
    assert [prf.recall for prf in per_label.values()] == pytest.approx(recall.tolist(), abs=1e-12)
    assert [prf.f1 for prf in per_label.values()] == pytest.approx(f1.tolist(), abs=1e-12)
    assert [prf.gold for prf in per_label.values()] == support.tolist()


@given(st.lists(st.sampled_from(tags_in(Scheme.BIOES))))
def test_lenient_reading_is_the_one_of_the_label_room(tags):
    assert span_items(tags) == {(span.label, (span.start, span.end - 1)) for span in lenient_spans(tags)}


@pytest.mark.parametrize("scheme", Scheme)
def test_sentence_counts_add_up_to_the_score(scheme):
    gold, predicted = ill_formed(scheme, seed=2)
    counts = span_counts(gold, predicted, scheme=scheme)
    assert counts.shape == (len(gold), 3)
    correct, n_predicted, n_gold = counts.sum(axis=0).tolist()
    score = span_scores(gold, predicted, scheme=scheme)
    assert PRF(correct, n_predicted, n_gold).f1 == score.main_value
    assert n_gold == score.support


def test_conlleval_reading_opens_a_span_at_a_stray_i():
    score = span_scores([["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]], scheme=Scheme.BIO)
    assert score.values == {
        "f1": 1.0,
        "precision": 1.0,
        "recall": 1.0,
        "f1_strict": 0.0,
        "accuracy": pytest.approx(2 / 3),
    }


def test_spans_do_not_run_across_sentences():
    score = span_scores([["B-A"], ["I-A"]], [["B-A"], ["O"]], scheme=Scheme.BIO)
    assert score.per_label == {"A": PRF(correct=1, predicted=1, gold=2)}


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([], [], {}),
        ([[]], [[]], {}),
        ([["O", "O"]], [["O", "O"]], {}),
        ([["B-A"]], [["O"]], {"A": PRF(0, 0, 1)}),
        ([["O"]], [["B-A"]], {"A": PRF(0, 1, 0)}),
        ([["B-A"]], [["B-B"]], {"A": PRF(0, 0, 1), "B": PRF(0, 1, 0)}),
    ],
)
def test_undefined_cases_give_zero_and_no_warning(gold, predicted, expected):
    # the suite turns warnings into errors
    score = span_scores(gold, predicted, scheme=Scheme.BIO)
    assert score.per_label == expected
    assert (score.values["f1"], score.values["f1_strict"]) == (0.0, 0.0)


@pytest.mark.parametrize("tag", ["S-PER", "NOUN", "B", "X-PER", ""])
def test_a_tag_outside_the_scheme_is_refused(tag):
    with pytest.raises(
        LabelError, match=r"the predicted tag .* is not a tag of the scheme 'bio'; allowed: O, B-<label>"
    ):
        span_scores([["B-PER", "O"]], [["B-PER", tag]], scheme=Scheme.BIO)


def test_sides_that_differ_in_shape_are_refused():
    with pytest.raises(DataError, match=r"sentence 0: gold has 2 tags and predicted has 1"):
        span_scores([["O", "O"]], [["O"]], scheme=Scheme.BIO)
