import json
import subprocess
import sys

from seqmtl.training.history import CURVES, HISTORY, History


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
    History(tmp_path)
    assert (tmp_path / HISTORY).read_text() == ""


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
