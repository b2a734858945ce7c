"""What the training benchmark and the EWT script work out from their runs."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqmtl.checkpoints import save_recipe
from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import load_recipe
from seqmtl.training.setup import prepare

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield lambda name: runpy.run_path(str(SCRIPTS / f"{name}.py"))
    for name in ("_benchmark", "_learner"):
        sys.modules.pop(name, None)


def test_figures_of_the_training_benchmark_are_medians_that_were_measured(load):
    times = {"joint": [3.0, 4.0, 50.0], "a": [1.0, 2.0, 30.0], "b": [3.0, 3.0, 3.0]}
    slowest, together = load("benchmark_training")["figures_of"](times).items()
    assert slowest[0] == "slowest single task (b)"
    assert (slowest[1].ours_ms, slowest[1].theirs_ms) == (4.0, 3.0)
    assert (together[1].ours_ms, together[1].theirs_ms) == (4.0, 5.0)


def test_a_finished_run_is_used_again_only_for_its_own_recipe(load, tmp_path):
    one_run = load("reproduce_ewt")["one_run"]
    trained = []

    def train(recipe, out, *, console):
        trained.append(recipe.training.epochs)
        out.mkdir()
        save_recipe(out, recipe)
        (out / "metrics.json").write_text("{}")
        (out / "history.jsonl").write_text(json.dumps({"kind": "dev", "words_per_second": 7.0}) + "\n")

    def evaluate(out, *, corpus, split):
        names = one_run.__globals__["SHOWN"]
        keys = dict.fromkeys((key for _, key in names.values()), 0.5)
        scores = {task: SimpleNamespace(values=keys) for task, _ in names.values()}
        return {"ewt": SimpleNamespace(scores=scores, rows=[{"tokens": ["a", "b"]}], seconds=1.0)}

    one_run.__globals__.update(train_recipe=train, evaluate_checkpoint=evaluate)

    def run(*overrides):
        return one_run("ewt_hard", tmp_path / "run", rows=10, seed=1, split="dev", overrides=list(overrides))

    first = run("training.epochs=2")
    assert (first["upos"], first["train words/s"], first["tagging words/s"]) == (50.0, 7.0, 2.0)
    assert run("training.epochs=2") == first
    assert trained == [2]
    with pytest.raises(ConfigError, match=r"run: is a run of another recipe.*--out"):
        run("training.epochs=3")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ewt_hard", "ewt_plain"])
def test_the_recipes_of_the_protocol_know_their_labels_from_its_rows(shared_data, minilm_path, recipe):
    spec, folder = load_recipe(recipe, overrides=["corpora.ewt.limit={train: 4000}"])
    prepared = prepare(spec, folder=folder)
    sizes = {split: len(rows["ewt"]) for split, rows in (("dev", prepared.dev), ("test", prepared.test))}
    assert (prepared.train["ewt"].size, sizes) == (4000, {"dev": 1968, "test": 2058})
