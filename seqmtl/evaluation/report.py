"""Scores as tables for a person and as JSON for a program."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from seqmtl.errors import DataError
from seqmtl.evaluation.bootstrap import Comparison
from seqmtl.evaluation.scores import PRF, TaskScore


def score_table(scores: Mapping[str, TaskScore], *, title: str) -> Table:
    """Return one row per task: its main score in percent, its other scores, and how many gold items it rests on."""
    table = _table(title, text=["Task", "Metric"], numbers=["Score", "P", "R"])
    table.add_column("Also")
    table.add_column("Gold", justify="right")
    for task, score in scores.items():
        shown = {"precision": "", "recall": "", **{name: _percent(value) for name, value in score.values.items()}}
        main = (score.main, "precision", "recall")
        others = [f"{name.removeprefix('srl_f1_')} {value}" for name, value in shown.items() if name not in main]
        row = (score.main, shown[score.main], shown["precision"], shown["recall"], "\n".join(others))
        table.add_row(Text(task), *row, str(score.support))
    return table


def label_table(task: str, score: TaskScore) -> Table:
    """Return one row per label of one task: precision, recall and F1 in percent, and the counts behind them."""
    numbers = ["Precision", "Recall", "F1", "Correct", "Predicted", "Gold"]
    table = _table(f"{task}, label by label", text=["Label"], numbers=numbers)
    for label, prf in score.per_label.items():
        ratios = (_percent(value) for value in (prf.precision, prf.recall, prf.f1))
        table.add_row(Text(label), *ratios, str(prf.correct), str(prf.predicted), str(prf.gold))
    return table


def comparison_table(comparisons: Mapping[str, Comparison], *, title: str) -> Table:
    """Return one row per task: the difference in points of percent, its 95 % interval, and the p-value."""
    table = _table(title, text=["Task"], numbers=["Difference", "Low", "High", "p"])
    for task, comparison in comparisons.items():
        points = (f"{100 * value:+.2f}" for value in (comparison.delta, comparison.low, comparison.high))
        table.add_row(Text(task), *points, f"{comparison.p_value:.3f}")
    return table


def scores_to_json(scores: Mapping[str, TaskScore]) -> dict[str, Any]:
    """Return the scores as plain dictionaries, ready for ``json.dump``."""
    return {task: asdict(score) for task, score in scores.items()}


def scores_from_json(data: Mapping[str, Any]) -> dict[str, TaskScore]:
    """Return the scores that ``scores_to_json`` wrote.

    Raises:
        DataError: if the data has another form.
    """
    try:
        return {task: _score(score) for task, score in data.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"this is not a table of scores ({type(error).__name__}: {error}); expected for each task the keys main, "
            "values and per_label, as scores_to_json writes them"
        ) from None


def _score(data: Mapping[str, Any]) -> TaskScore:
    per_label = {label: PRF(**counts) for label, counts in data["per_label"].items()}
    return TaskScore(main=data["main"], values=dict(data["values"]), per_label=per_label)


def _table(title: str, *, text: list[str], numbers: list[str]) -> Table:
    # Text, here and in the rows: rich would read "[x]" in a plain string as markup and ":x:" as an emoji
    table = Table(title=Text(title, style="table.title"))
    for name in text:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
