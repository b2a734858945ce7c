from dataclasses import replace

import numpy as np
import pytest

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.tasks import Task
from seqmtl.data.toy import generate
from seqmtl.evaluation import evaluator, frame_scores, paired_bootstrap, span_scores
from seqmtl.evaluation.evaluator import compare_predictions, count_rows, predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator, Prediction, annotate
from seqmtl.labels import Frame, LabelInventory, Scheme
from seqmtl.specs.tasks import TaskSpec


def score(tasks, rows, predictions, *, corpus="a"):
    return score_rows(tasks, rows=rows, predictions=predictions, corpus=corpus)


def count(task, rows, predictions, *, corpus="a"):
    return count_rows(task, rows=rows, predictions=predictions, corpus=corpus)


def compare(tasks, rows, ours, theirs, *, corpus="a"):
    return compare_predictions(tasks, rows=rows, ours=ours, theirs=theirs, corpus=corpus)


def task(name, layer, kind, **more):
    spec = TaskSpec.model_validate({"layer": layer, "head": {"kind": kind}, **more})
    return Task(name, spec, LabelInventory(("O",)))


TASKS = {
    "upos": task("upos", "upos", "softmax"),
    "ner": task("ner", "ner_tags", "crf", scheme="bioes"),
    "predicate": task("predicate", "srl_frames", "predicate"),
    "srl": task("srl", "srl_frames", "srl", predicates="predicate"),
}
FRAME = {"predicate": 1, "sense": "see.01", "tags": ["B-ARG0", "B-V", "B-ARG1"]}
ROWS = [
    {
        "id": "1",
        "tokens": ["Anna", "saw", "Bob"],
        "upos": ["PROPN", "VERB", "PROPN"],
        "ner_tags": ["B-PER", "O", "B-PER"],
        "srl_frames": [FRAME],
    },
    {"id": "2", "tokens": ["Acme", "Inc."], "upos": None, "ner_tags": ["B-ORG", "I-ORG"], "srl_frames": None},
    {"id": "3", "tokens": ["go"], "upos": ["VERB"], "srl_frames": []},
]


def perfect(row):
    """What a perfect model says, also where the row says nothing."""
    frames = [Frame.from_row(frame) for frame in row.get("srl_frames") or []]
    return Prediction(
        tags={
            "upos": row.get("upos") or ["X"] * len(row["tokens"]),
            "ner": row.get("ner_tags") or ["B-PER"] * len(row["tokens"]),
        },
        predicates={"predicate": [frame.predicate for frame in frames]},
        frames_of_gold={"srl": frames} if row.get("srl_frames") is not None else {},
        found_frames={"srl": frames},
    )


PERFECT = [perfect(row) for row in ROWS]


def test_a_perfect_system_scores_one_in_every_task_and_value():
    scores = score(TASKS, ROWS, PERFECT)
    assert set(scores) == set(TASKS)
    for found in scores.values():
        assert set(found.values.values()) == {1.0}
    assert scores["srl"].main == "srl_f1_official"
    assert "srl_f1_end_to_end" in scores["srl"].values


def test_rows_without_a_layer_are_not_scored():
    # The third row has no names, so the name that the system finds there is no error; the second has no part of speech.
    scores = score(TASKS, ROWS, PERFECT)
    assert scores["ner"].support == 3
    assert scores["upos"].support == 4
    assert scores["predicate"].support == 1
    assert "ner" not in score(TASKS, ROWS[2:], PERFECT[2:])


def test_a_task_is_not_scored_on_corpora_from_which_it_does_not_learn():
    tasks = {"upos": task("upos", "upos", "softmax", corpora=["a"])}
    assert set(score(tasks, ROWS, PERFECT, corpus="a")) == {"upos"}
    assert score(tasks, ROWS, PERFECT, corpus="b") == {}
    assert count(tasks["upos"], ROWS, PERFECT).tolist() == [[3, 3, 3], [1, 1, 1]]
    assert count(tasks["upos"], ROWS, PERFECT, corpus="b").shape == (0, 3)
    assert set(compare(tasks, ROWS, PERFECT, PERFECT)) == {"upos"}
    assert compare(tasks, ROWS, PERFECT, PERFECT, corpus="b") == {}


def test_a_bioes_task_is_scored_as_bio():
    guess = [["B-PER", "O", "O"], ["B-ORG", "I-ORG"]]
    predictions = [replace(PERFECT[n], tags={**PERFECT[n].tags, "ner": guess[n]}) for n in range(2)]
    scores = score({"ner": TASKS["ner"]}, ROWS[:2], predictions)
    assert scores["ner"] == span_scores([row["ner_tags"] for row in ROWS[:2]], guess, scheme=Scheme.BIO)
    assert scores["ner"].main_value == pytest.approx(0.8)


def test_end_to_end_roles_count_missed_and_invented_predicates():
    right = PERFECT[0].frames_of_gold["srl"]
    invented = Frame(predicate=0, sense="", tags=("B-V", "B-ARG1"))
    missed = replace(PERFECT[0], predicates={"predicate": []}, found_frames={"srl": []})
    more = replace(
        PERFECT[1], predicates={"predicate": [0]}, frames_of_gold={"srl": []}, found_frames={"srl": [invented]}
    )
    rows = [ROWS[0], ROWS[1] | {"srl_frames": []}]
    scores = score(TASKS, rows, [missed, more])["srl"]
    assert scores.main_value == 1.0  # on gold predicates
    assert scores.values["srl_f1_end_to_end"] == 0.0
    half = score(TASKS, rows, [PERFECT[0], more])["srl"]
    gold = [right, []]
    assert half.values["srl_f1_end_to_end"] == frame_scores(gold, [right, [invented]]).values["srl_f1_end_to_end"]
    assert half.values["srl_f1_end_to_end"] == pytest.approx(2 * 2 / (3 + 2))


def test_roles_without_a_predicate_task_have_no_end_to_end_score():
    tasks = {"srl": task("srl", "srl_frames", "srl")}
    said = [replace(prediction, found_frames={}) for prediction in PERFECT]
    assert "srl_f1_end_to_end" not in score(tasks, ROWS, said)["srl"].values


def test_counts_are_those_of_the_scores():
    worse = [replace(PERFECT[0], tags={"upos": ["PROPN", "NOUN", "PROPN"], "ner": ["B-LOC", "O", "O"]}), *PERFECT[1:]]
    assert count(TASKS["upos"], ROWS, worse).tolist() == [[2, 3, 3], [1, 1, 1]]
    assert count(TASKS["ner"], ROWS, worse).tolist() == [[0, 1, 2], [1, 1, 1]]
    assert count(TASKS["predicate"], ROWS, worse).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert count(TASKS["srl"], ROWS, worse).tolist() == [[2, 2, 2], [0, 0, 0]]


def test_comparison_is_the_bootstrap_of_both_systems_counts():
    rows, ours = ROWS * 20, PERFECT * 20
    bad = replace(PERFECT[0], tags={"upos": ["X", "X", "X"], "ner": ["O", "O", "O"]})
    theirs = [bad, *PERFECT[1:]] * 20
    table = compare(TASKS, rows, ours, theirs)
    expected = paired_bootstrap(count(TASKS["ner"], rows, ours), count(TASKS["ner"], rows, theirs))
    assert table["ner"] == expected
    assert table["upos"].delta > 0
    assert table["upos"].p_value < 0.01
    assert (table["srl"].delta, table["srl"].p_value) == (0.0, 1.0)


def test_only_tasks_of_both_systems_with_rows_are_compared():
    without = [replace(prediction, tags={"upos": prediction.tags["upos"]}) for prediction in PERFECT]
    assert set(compare(TASKS, ROWS, PERFECT, without)) == {"upos", "predicate", "srl"}
    assert set(compare(TASKS, ROWS[1:2], PERFECT[1:2], PERFECT[1:2])) == {"ner"}


class Two:
    """Rank 0 of two processes."""

    process_index = 0
    num_processes = 2


def test_predictions_of_two_processes_are_gathered_in_row_order(tiny_run, monkeypatch):
    annotator = Annotator(*load_checkpoint(tiny_run))
    rows = list(generate("test", n=15, seed=5)) * 20  # more than one batch
    other = list(annotate(annotator, rows, part=(1, 2)))
    assert 0 < len(other) < len(rows)
    monkeypatch.setattr(evaluator, "gather_object", lambda mine: [*mine, *other])
    assert predict_rows(annotator, rows, processes=Two()) == predict_rows(annotator, rows)


def test_scores_do_not_depend_on_the_order_of_rows(tiny_run):
    annotator = Annotator(*load_checkpoint(tiny_run))
    rows = list(generate("test", n=15, seed=5))
    order = np.random.permutation(len(rows)).tolist()
    shuffled = [rows[position] for position in order]
    first = score(annotator.model.tasks, rows, predict_rows(annotator, rows))
    second = score(annotator.model.tasks, shuffled, predict_rows(annotator, shuffled))
    assert {n: s.values for n, s in first.items()} == {n: s.values for n, s in second.items()}
