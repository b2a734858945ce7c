"""Searching hyper-parameters: what is searched, what a trial is worth, and going on."""

import json
import runpy
from pathlib import Path

import pytest

from seqmtl.errors import ConfigError

optuna = pytest.importorskip("optuna", reason="Optuna is not installed; pip install 'seqmtl[sweep]'")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

SCRIPT = Path(__file__).parents[3] / "scripts" / "sweep.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1e-5:1e-3:log", ("a.b", FloatDistribution(1e-5, 1e-3, log=True))),
        ("a=0.0:0.5", ("a", FloatDistribution(0.0, 0.5))),
        ("a=1:8:log", ("a", IntDistribution(1, 8, log=True))),
        ("a=crf,softmax", ("a", CategoricalDistribution(["crf", "softmax"]))),
    ],
)
def test_ranges_and_choices(script, text, expected):
    assert script["searched_key"](text) == expected


@pytest.mark.parametrize("text", ["a", "a=3", "a=3:1", "a=x:y", "a=1:2:3"])
def test_what_is_neither_is_an_error(script, text):
    with pytest.raises(ConfigError, match=r"--search a.*write KEY=LOW:HIGH"):
        script["searched_key"](text)


def test_a_sweep_goes_on_where_it_ended_and_finds_the_best(script, tmp_path, tiny, write_recipe, monkeypatch):
    asked = []

    def train(recipe, out, *, folder, resume):
        assert not resume
        rate = recipe.training.learning_rates.heads
        asked.append(out.name)
        out.mkdir()
        scores = [{"upos": 0.1}, {"upos": 1.0 - rate, "ner": 1.0 - rate}, {"upos": 0.2}]
        events = [{"kind": "dev", "scores": found} for found in scores]
        (out / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))

    monkeypatch.setitem(script["sweep"].__globals__, "train_recipe", train)
    space = dict([script["searched_key"]("training.learning_rates.heads=0.0:0.5")])
    search = {"recipe": str(write_recipe(tiny)), "out": tmp_path / "sweep", "overrides": []}
    script["sweep"](**search, space=space, trials=2)
    study = script["sweep"](**search, space=space, trials=5)
    assert asked == [f"trial-{number}" for number in range(5)]
    found = [json.loads(line) for line in (tmp_path / "sweep" / "trials.jsonl").read_text().splitlines()]
    rates = [trial["params"]["training.learning_rates.heads"] for trial in found]
    assert len(set(rates)) == 5
    assert study.best_params["training.learning_rates.heads"] == min(rates)
    assert study.best_value == pytest.approx(1.0 - min(rates))
    other = dict([script["searched_key"]("training.epochs=1:3")])
    with pytest.raises(ConfigError, match=r"searched training\.learning_rates\.heads; name the same keys"):
        script["sweep"](**search, space=other, trials=6)


def test_a_trial_is_a_run(script, tmp_path, tiny, write_recipe):
    tiny["training"]["max_steps"] = 1
    space = dict([script["searched_key"]("encoder.width=16,32")])
    study = script["sweep"](str(write_recipe(tiny)), tmp_path / "sweep", space, trials=1, overrides=[])
    assert (tmp_path / "sweep" / "trial-0" / "metrics.json").is_file()
    assert study.best_trial.number == 0
