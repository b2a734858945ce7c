"""SL8: what a sluice network reads from an auxiliary task that is a copy of the main task, or noise."""

import runpy
import sys
from collections import Counter
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import pytest
import torch

from seqmtl.sharing.base import Coupling, Table

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield SimpleNamespace(**runpy.run_path(str(SCRIPTS / "reproduce_sluice_copy_random.py")))
    sys.modules.pop("_benchmark", None)


@pytest.mark.slow
def test_sl8_a_copy_of_the_main_task_is_still_read_and_random_labels_less(script, tmp_path):
    ends = {
        labels: [
            script.run(labels, tmp_path / labels / str(seed), seed=seed, rows=150, epochs=20).shares[-1]
            for seed in (1, 2, 3)
        ]
        for labels in ("copy", "random")
    }
    assert mean(ends["copy"]) > 0.35
    assert mean(ends["copy"]) - mean(ends["random"]) > 0.1


def test_the_share_is_that_of_the_auxiliary_in_what_the_main_task_reads(script):
    names = ["main.1", "main.2", "auxiliary.1", "auxiliary.2"]
    first = torch.tensor([[1.0, 1.0, -1.0, 1.0], [2.0, 0.0, 0.0, 2.0], [9.0, 9.0, 0.0, 0.0], [9.0, 9.0, 0.0, 0.0]])
    second = torch.tensor([[3.0, 0.0, 0.5, 0.0], [0.0, -3.0, 0.0, 1.5], [0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 9.0]])
    tables = {"alpha 1": Table(names, names, first), "alpha 2": Table(names, names, second)}
    assert script.auxiliary_shares(Coupling(tables)) == [0.5, 0.25]


def test_random_labels_are_those_of_the_main_task_in_another_order(script):
    copied, drawn = (script.make_corpus(labels, seed=1, rows=30).splits for labels in ("copy", "random"))
    assert copied["train"]["auxiliary"] == copied["train"]["main"] == drawn["train"]["main"]
    ours, theirs = ([tag for tags in drawn["train"][task] for tag in tags] for task in ("main", "auxiliary"))
    assert Counter(ours) == Counter(theirs)
    assert mean(a == b for a, b in zip(ours, theirs, strict=True)) < 0.3
    assert "auxiliary" not in drawn["dev"].column_names


def test_p_is_the_part_of_all_changes_of_signs_that_is_as_extreme(script):
    assert script.p_value([1.0, 2.0, 3.0]) == 2 / 8
    assert script.p_value([1.0, 2.0, -3.0]) == 1.0
    assert script.p_value([-1.0, 2.0, 3.0]) == 4 / 8  # 4 is reached by (-, +, +), 6 by (+, +, +), and their mirrors
