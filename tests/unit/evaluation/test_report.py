import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from seqmtl.errors import DataError
from seqmtl.evaluation import (
    PRF,
    Comparison,
    TaskScore,
    comparison_table,
    label_table,
    score_table,
    scores_from_json,
    scores_to_json,
)

NER = TaskScore(
    main="f1",
    values={"f1": 2 / 3, "f1_strict": 0.5, "accuracy": 0.98765},
    per_label={"LOC": PRF(1, 2, 1), "PER": PRF(0, 0, 1)},
)
POS = TaskScore(main="accuracy", values={"accuracy": 1.0}, per_label={"NOUN": PRF(7, 7, 7)})

names = st.text(min_size=1, max_size=8)
prfs = st.builds(PRF, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
task_scores = st.builds(
    TaskScore,
    main=names,
    values=st.dictionaries(names, st.floats(0, 1)),
    per_label=st.dictionaries(names, prfs),
)


def cells(table):
    """The title and the cells of every printed row, header first."""
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(table)
    title, *lines = capture.get().splitlines()
    rows = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines]
    return title.strip(), [row for row in rows if len(row) > 1]


def test_score_table_shows_percent_others_and_support():
    title, rows = cells(score_table({"ner": NER, "pos": POS}, title="development"))
    assert title == "development"
    assert rows == [
        ["Task", "Metric", "Score", "P", "R", "Also", "Gold"],
        ["ner", "f1", "66.67", "", "", "f1_strict 50.00", "2"],
        ["", "", "", "", "", "accuracy 98.77", ""],
        ["pos", "accuracy", "100.00", "", "", "", "7"],
    ]


def test_label_table_shows_ratios_and_counts():
    title, rows = cells(label_table("ner", NER))
    assert title == "ner, label by label"
    assert rows == [
        ["Label", "Precision", "Recall", "F1", "Correct", "Predicted", "Gold"],
        ["LOC", "50.00", "100.00", "66.67", "1", "2", "1"],
        ["PER", "0.00", "0.00", "0.00", "0", "0", "1"],
    ]


def test_comparison_table_shows_points_of_percent():
    comparison = Comparison(delta=0.0123, p_value=0.0312, low=-0.001, high=0.02)
    title, rows = cells(comparison_table({"ner": comparison}, title="sluice against hard"))
    assert title == "sluice against hard"
    assert rows == [["Task", "Difference", "Low", "High", "p"], ["ner", "+1.23", "-0.10", "+2.00", "0.031"]]


@pytest.mark.parametrize("name", ["[bold]", ":fire:"])
def test_a_name_is_not_taken_for_markup(name):
    score = TaskScore(main="f1", values={"f1": 0.0}, per_label={name: PRF(0, 0, 1)})
    title, rows = cells(label_table(name, score))
    assert (title, rows[1][0]) == (f"{name}, label by label", name)
    title, rows = cells(score_table({name: score}, title=name))
    assert (title, rows[1][0]) == (name, name)


@given(st.dictionaries(names, task_scores, max_size=3))
def test_scores_survive_json(scores):
    assert scores_from_json(json.loads(json.dumps(scores_to_json(scores)))) == scores


@pytest.mark.parametrize(
    "data",
    [{"ner": {}}, {"ner": 0.5}, {"ner": {"main": "f1", "values": {}, "per_label": {"A": {"tp": 1}}}}, [1]],
)
def test_data_of_another_form_is_refused(data):
    with pytest.raises(DataError, match=r"not a table of scores .* main, values and per_label"):
        scores_from_json(data)
