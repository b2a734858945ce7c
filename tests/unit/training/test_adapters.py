"""Runs that train adapters in place of the encoder."""

import json

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from seqmtl.checkpoints import load_checkpoint, read_metrics
from seqmtl.data.collation import Collator
from seqmtl.encoders import lora
from seqmtl.errors import ConfigError
from seqmtl.evaluation import scores_to_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import evaluate_checkpoint, train_recipe
from seqmtl.training.learner import Learner
from seqmtl.training.loop import Run
from seqmtl.training.optimisation import build_optimizer
from seqmtl.training.setup import prepare

pytestmark = pytest.mark.usefixtures("unplotted")


@pytest.fixture
def recipe(under, tiny_encoder):
    """Two tasks on an encoder with adapters, and all that may stand around one."""
    found = under("hard")
    characters = {"kind": "cnn", "dim": 4, "width": 6}
    around = {"scalar_mix": True, "case": True, "characters": characters}
    found["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8, "lora": {"rank": 2}}
    found["encoder"] |= around
    return found


@pytest.fixture
def fit(tmp_path, quiet):
    """Train a recipe into a folder."""

    def run(recipe, name="run", *, resume=False):
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / name, console=quiet, resume=resume)
        return tmp_path / name

    return run


def test_a_checkpoint_is_that_of_a_model_without_adapters(recipe, fit, tiny_encoder):
    run = fit(recipe)
    del recipe["encoder"]["lora"]
    plain = fit(recipe, "plain")
    config = json.loads((run / "config.json").read_text())
    assert "lora" not in config["encoder"]
    assert config == json.loads((plain / "config.json").read_text())
    found, whole = (load_file(folder / "model.safetensors") for folder in (run, plain))
    assert {name: value.shape for name, value in found.items()} == {name: v.shape for name, v in whole.items()}
    before = {f"encoder.model.{name}": v for name, v in load_file(tiny_encoder / "model.safetensors").items()}
    moved = {name for name in found if name in before and not torch.equal(found[name], before[name])}
    blocks = {name for name in before if ".layer." in name and "LayerNorm" not in name and name.endswith("weight")}
    assert moved == blocks


def test_what_was_scored_is_what_is_loaded(recipe, fit, monkeypatch):
    run = fit(recipe)
    expected = read_metrics(run)["test"]["toy"]
    monkeypatch.setattr(lora, "find_spec", lambda _: None)
    assert scores_to_json(evaluate_checkpoint(run)["toy"].scores) == expected


def test_merging_changes_no_score_beyond_rounding(recipe, tmp_path, quiet):
    prepared = prepare(RecipeSpec.parse(recipe, source="test"), folder=tmp_path)
    learner = Learner(prepared, steps=1, accelerator=Accelerator(cpu=True), console=quiet)
    for name, parameter in learner.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    inputs = prepared.indexer([["Ann", "sold", "an", "unbelievably", "old", "house"], ["No"]])
    ours, merged = (model.eval().features(inputs, ["upos"])["upos"] for model in (learner.model, learner.usable()))
    assert learner.usable() is not learner.model
    torch.testing.assert_close(merged, ours, rtol=1e-4, atol=1e-5)


def test_adapters_learn_at_the_encoders_rate_and_what_stands_around_it_as_before(recipe, tmp_path):
    recipe["training"] |= {"learning_rates": {"encoder": 0.1, "heads": 0.2}, "layer_decay": 0.5}
    spec = RecipeSpec.parse(recipe, source="test")
    model = prepare(spec, folder=tmp_path).model
    groups = build_optimizer(model, spec.training).param_groups
    rates = {id(p): (group["name"], group["lr"]) for group in groups for p in group["params"]}
    found = {name: rates.get(id(p)) for name, p in model.named_parameters()}
    inside = {name: rate for name, rate in found.items() if name.startswith("encoder.model.")}
    adapters = {name: rate for name, rate in inside.items() if "lora_" in name}
    assert adapters == {name: ("encoder", 0.1 if ".layer.1." in name else 0.05) for name in adapters}
    assert {rate for name, rate in inside.items() if name not in adapters} == {None}
    assert {rate for name, rate in found.items() if name not in inside} == {("heads", 0.2)}


@pytest.mark.parametrize("checkpointed", [False, True])
def test_every_parameter_that_is_to_learn_gets_a_gradient_and_no_other(recipe, tmp_path, checkpointed):
    recipe["encoder"]["gradient_checkpointing"] = checkpointed
    prepared = prepare(RecipeSpec.parse(recipe, source="test"), folder=tmp_path)
    batch = Collator(prepared.indexer, prepared.tasks)([("toy", row) for row in prepared.dev["toy"]])
    losses = prepared.model.train()(batch.inputs, batch.targets)
    sum(loss.total.sum() for loss in losses.tasks.values()).backward()
    named = dict(prepared.model.named_parameters())
    assert {name for name, p in named.items() if p.grad is not None} == {
        name for name in named if not name.startswith("encoder.model.") or "lora_" in name
    }


class Killed(BaseException):
    """What nothing in the library catches, like SIGKILL."""


@pytest.mark.parametrize("scheme", ["hard", "sluice_blocks"])
def test_a_run_that_is_ended_and_goes_on_is_the_same(recipe, under, scheme, fit, whole, ending, monkeypatch, tmp_path):
    encoder = recipe["encoder"]
    recipe = under(scheme) | {"encoder": encoder | {"scalar_mix": scheme == "hard"}}
    expected = whole(recipe)
    learn = Run.learn

    def learn_until_7(run, lesson):
        if run.course.step == 7:
            raise Killed
        learn(run, lesson)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "learn", learn_until_7)
        with pytest.raises(Killed):
            fit(recipe)
    (state,) = (tmp_path / "run" / "state").iterdir()
    assert any("lora_A" in name for name in load_file(state / "shared.safetensors"))
    assert ending(fit(recipe, resume=True)) == expected


def test_a_run_may_start_from_one_with_adapters_and_the_other_way_round(recipe, fit):
    first = fit(recipe, "first")
    recipe["training"]["start_from"] = str(first)
    again = prepare(RecipeSpec.parse(recipe, source="test"), folder=first)
    assert again.warm_start is not None
    assert again.warm_start.new == ()
    learned, _ = load_checkpoint(first)
    now = again.model.state_dict()
    for name, value in learned.state_dict().items():
        assert any(torch.equal(now[known], value) for known in now if known.replace(".base_layer", "") == name), name


def test_without_peft_nothing_is_read(recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(lora, "find_spec", lambda _: None)
    recipe["encoder"]["pretrained"] = "no-such/encoder"
    with pytest.raises(ConfigError, match=r"encoder\.lora: peft"):
        prepare(RecipeSpec.parse(recipe, source="test"), folder=tmp_path)
