import json
import subprocess
import sys

import pytest
import torch

from seqmtl.errors import DataError
from seqmtl.sharing.base import Coupling, Table
from seqmtl.training.history import (
    BEST_DECODERS,
    CURVES,
    HISTORY,
    META_ITERATION,
    History,
    MetaIteration,
    read_couplings,
    read_meta_iterations,
)

SHARED = Coupling({"alpha 1": Table(("a", "b"), ("a", "b"), torch.tensor([[0.9, 0.1], [0.2, 0.8]]))})


def test_each_event_is_a_line_at_once(tmp_path):
    history = History(tmp_path)
    history.add("train", 20, {"losses": {"upos": 1.5}, "lr": 0.1})
    history.add("dev", 25, {"epoch": 1, "scores": {"upos": 0.5}})
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert lines == [
        {"kind": "train", "step": 20, "losses": {"upos": 1.5}, "lr": 0.1},
        {"kind": "dev", "step": 25, "epoch": 1, "scores": {"upos": 0.5}},
    ]
    assert lines == history.events


def test_a_new_run_starts_an_empty_history(tmp_path):
    History(tmp_path).add("train", 1, {})
    History(tmp_path).start()
    assert (tmp_path / HISTORY).read_text() == ""


def test_a_coupling_is_written_once_per_step_and_read_again(tmp_path):
    history = History(tmp_path)
    history.add_coupling(0, SHARED)
    history.add("train", 20, {"losses": {"upos": 1.5}, "lr": 0.1})
    history.add_coupling(20, SHARED)
    history.add_coupling(20, SHARED)  # the last step of a run may be due anyway
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [("coupling", 0), ("train", 20), ("coupling", 20)]
    assert lines[0]["tables"] == {
        "alpha 1": {"rows": ["a", "b"], "columns": ["a", "b"], "values": [[0.9, 0.1], [0.2, 0.8]]}
    }
    found = read_couplings(tmp_path)
    assert [step for step, _ in found] == [0, 20]
    assert torch.equal(found[1][1].tables["alpha 1"].values, SHARED.tables["alpha 1"].values)


def test_a_scheme_without_tables_writes_nothing(tmp_path):
    history = History(tmp_path)
    history.add_coupling(0, Coupling({}))
    assert history.events == read_couplings(tmp_path) == []


def test_a_folder_without_a_history_has_no_couplings(tmp_path):
    assert read_couplings(tmp_path) == []


@pytest.mark.parametrize(
    "line", ["", "{", "3", "{}", '{"kind": "coupling"}', '{"kind": "coupling", "step": 1, "tables": {"x": 3}}']
)
def test_a_broken_line_is_named(tmp_path, line):
    (tmp_path / HISTORY).write_text('{"kind": "train", "step": 1}\n' + line + "\n")
    with pytest.raises(DataError, match=r"history\.jsonl:2: is no event of a run"):
        read_couplings(tmp_path)


def test_meta_iterations_are_read_again(tmp_path):
    history = History(tmp_path)
    known = {"costs": {"upos": [0.5, 0.25]}, "leaders": {"upos": 1}, "rates": {}}
    history.add("train", 20, {"losses": {"upos": 1.5}})
    history.add(META_ITERATION, 50, known)
    history.add(BEST_DECODERS, 60, known)
    history.add(META_ITERATION, 100, known | {"rates": {"upos": [0.1, 0.2]}})
    assert read_meta_iterations(tmp_path) == [
        MetaIteration(50, {"upos": [0.5, 0.25]}, {"upos": 1}, {}),
        MetaIteration(100, {"upos": [0.5, 0.25]}, {"upos": 1}, {"upos": [0.1, 0.2]}),
    ]
    assert read_meta_iterations(tmp_path / "none") == []


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"costs": [0.5], "leaders": {}, "rates": {}},
        {"costs": {"a": 0.5}, "leaders": {"a": 0}, "rates": {}},
        {"costs": {"a": ["x"]}, "leaders": {"a": 0}, "rates": {}},
        {"costs": {"a": [0.5]}, "leaders": {}, "rates": {}},
    ],
)
def test_a_broken_meta_iteration_is_named(tmp_path, more):
    (tmp_path / HISTORY).write_text(json.dumps({"kind": META_ITERATION, "step": 1, **more}) + "\n")
    with pytest.raises(DataError, match=r"history\.jsonl:1: is no event of a run"):
        read_meta_iterations(tmp_path)


def test_curves_are_drawn_also_of_tasks_that_are_sometimes_absent_and_of_nothing(tmp_path):
    history = History(tmp_path)
    assert history.plot().read_bytes().startswith(b"\x89PNG")
    empty = (tmp_path / CURVES).read_bytes()
    history.add("train", 20, {"losses": {"upos": 1.5}})
    history.add("train", 40, {"losses": {"upos": 1.0, "ner": 2.0}})
    history.add("dev", 40, {"scores": {"upos": 0.5}})
    assert history.plot() == tmp_path / CURVES
    assert (tmp_path / CURVES).read_bytes() != empty


def test_the_backend_of_the_user_stays():
    lines = ["import matplotlib", "matplotlib.use('pdf')", "import seqmtl.training.history"]
    code = "; ".join([*lines, "print(matplotlib.get_backend().lower())"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pdf"
