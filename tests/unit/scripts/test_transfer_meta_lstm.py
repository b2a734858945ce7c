"""Leaving a task out and learning it under the Meta-LSTM of the others."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from seqmtl.checkpoints import load_checkpoint

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def transfer(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield SimpleNamespace(**runpy.run_path(str(SCRIPTS / "transfer_meta_lstm.py")))
    for name in ("_benchmark", "compare_sharing"):
        sys.modules.pop(name, None)


@pytest.fixture
def recipe(tiny, tmp_path):
    sharing = {"kind": "meta_lstm", "width": 8, "meta_size": 3, "vector_size": 2}
    for task in tiny["tasks"].values():
        if task["head"]["kind"] != "predicate":
            task["unseen_labels"] = "allow"
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny | {"name": "tiny", "sharing": sharing}, sort_keys=False))
    return path


def arguments(recipe, tmp_path):
    return SimpleNamespace(
        recipe=str(recipe), seeds=2, train_rows=30, new_rows=10, new_epochs=2, corpus="toy", out=tmp_path / "out",
        overrides=["corpora.toy.sizes.test=8"],
    )  # fmt: skip


def test_each_task_takes_its_turn_roles_with_the_finder_of_their_predicates(transfer, recipe, tmp_path):
    found = transfer.lessons(arguments(recipe, tmp_path))
    assert [lesson.task for lesson in found] == ["upos", "chunk", "ner", "srl"] * 2
    by_task = {lesson.task: lesson for lesson in found[:4]}
    assert by_task["srl"].teacher.tasks == ("upos", "chunk", "ner")
    assert by_task["srl"].transfer.tasks == ("predicate", "srl")
    assert by_task["ner"].teacher.tasks == ("upos", "chunk", "predicate", "srl")
    for lesson in found:
        training, scratch = lesson.transfer.recipe.training, lesson.scratch.recipe.training
        assert (training.start_from, training.freeze) == (str(lesson.teacher.folder.resolve()), "meta")
        assert (scratch.start_from, scratch.freeze, scratch.epochs) == (None, None, 2)
        limits = [run.recipe.corpora["toy"].limit["train"] for run in (lesson.teacher, lesson.transfer, lesson.scratch)]
        assert limits == [30, 10, 10]
        assert all("test" not in run.recipe.corpora["toy"].sizes for run in (lesson.teacher, lesson.scratch))


@pytest.mark.slow
def test_end_to_end(transfer, recipe, tmp_path, monkeypatch, capsys):
    options = "--seeds 1 --train-rows 30 --new-rows 10 --new-epochs 1 --corpus toy --dev-only"
    sizes = ["--set", "corpora.toy.sizes.test=8"]
    out = ["--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["transfer", "--recipe", str(recipe), *options.split(), *sizes, *out])
    transfer.main()
    shown = capsys.readouterr().out
    record = json.loads(shown.strip().splitlines()[-1])
    assert list(record["tasks"]) == ["upos", "chunk", "ner", "srl"]
    assert "| ner |" in shown
    student, _ = load_checkpoint(tmp_path / "out" / "ner" / "transfer" / "seed_1")
    teacher, _ = load_checkpoint(tmp_path / "out" / "ner" / "teacher" / "seed_1")
    for one, other in zip(student.sharing.generator(), teacher.sharing.generator(), strict=True):
        assert torch.equal(one, other)
