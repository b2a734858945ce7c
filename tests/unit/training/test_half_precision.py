"""Training in fp16: gradients are scaled, and steps in which they overflow are not taken.

Accelerate scales on GPUs alone. Here it is given torch's scaler for a CPU, and nothing else is changed.
"""

import io
import json
import math

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from seqmtl.errors import ConfigError, TrainingError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import launch, learner, train_recipe
from seqmtl.training.loop import Run

pytestmark = pytest.mark.usefixtures("unplotted", "another_precision")


@pytest.fixture
def scaled(monkeypatch):
    """From now on runs in fp16 have a scaler with this first scale; without, a modest one."""

    def start(scale=2.0**10):
        def scaling(**options):
            accelerator = Accelerator(**options)
            accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=4)
            accelerator.native_amp = True
            return accelerator

        monkeypatch.setattr(launch, "Accelerator", scaling)

    torch._C._set_mkldnn_enabled(False)  # it has no LSTM of such numbers
    yield start
    torch._C._set_mkldnn_enabled(True)


@pytest.fixture
def fit(tmp_path, under):
    def train(scheme, name, *, resume=False, pseudo_tasks=None, **training):
        recipe = under(scheme) | {"pseudo_tasks": pseudo_tasks}
        recipe["training"] |= {"precision": "fp16", **training}
        if scheme == "jmt":
            recipe["sharing"] = recipe["sharing"] | {"successive_regularisation": None}
        out = tmp_path / name
        console = Console(file=io.StringIO())
        train_recipe(RecipeSpec.parse(recipe, source="test"), out, console=console, resume=resume)
        return load_file(out / "model.safetensors")

    return train


def losses_of(folder):
    events = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    return [event["losses"] for event in events if event["kind"] == "train"]


def test_every_scheme_learns(scheme, fit, scaled, tmp_path, monkeypatch):
    scaled()
    monkeypatch.setattr("seqmtl.training.loop.LOG_EVERY", 1)
    fit(scheme, "run", epochs=6)
    losses = losses_of(tmp_path / "run")
    for task in ("upos", "ner"):
        mine = [step[task] for step in losses if task in step]  # in turn, a step is of one task
        assert sum(mine[-3:]) < sum(mine[:3])


def test_numbers_have_sixteen_bits(fit, scaled, monkeypatch):
    seen = set()
    linear = torch.nn.functional.linear

    def watched(*arguments):
        seen.add(linear(*arguments).dtype)
        return linear(*arguments)

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    scaled()
    model = fit("sluice_blocks", "run", max_steps=1)
    assert torch.float16 in seen
    assert {value.dtype for value in model.values() if value.is_floating_point()} == {torch.float32}


def test_a_step_whose_gradients_overflow_changes_nothing_but_the_scale(fit, scaled, monkeypatch):
    scaled(2.0**60)
    before, scales, moments = [], [], []
    learn = Run.learn

    def learning(self, lesson):
        before.append({name: p.detach().clone() for name, p in self.learner.model.named_parameters()})
        learn(self, lesson)
        moments.extend(value for of_one in self.learner.plain_optimizer.state.values() for value in of_one.values())
        scales.append(self.accelerator.scaler.get_scale())

    monkeypatch.setattr(Run, "learn", learning)
    fit("hard", "run", epochs=1, max_steps=3)
    assert scales == [2.0**59, 2.0**58, 2.0**57]
    assert all(torch.equal(value, before[0][name]) for name, value in before[-1].items())
    assert not any(value.any() for value in moments)  # nor do they count the step


@pytest.mark.parametrize("every", [1, 2])
def test_gradients_that_overflow_whatever_the_scale_are_an_error(fit, scaled, monkeypatch, every):
    scaled(2.0**4)
    monkeypatch.setattr("seqmtl.training.loop.LOG_EVERY", 1)
    joint, steps = learner.joint_loss, []

    def poisoned(losses, **how):
        steps.append(losses)
        return joint(losses, **how) * (math.nan if len(steps) % every == 0 else 1.0)

    monkeypatch.setattr(learner, "joint_loss", poisoned)
    message = (
        rf"^the norm of the gradient is nan in step {5 * every}, rows toy/.*, or leave training\.precision 'fp16'$"
    )
    with pytest.raises(TrainingError, match=message):  # after so many halves the scale is 1/2
        fit("hard", "run", epochs=50, save_every=1000)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_step_that_teaches_nothing_moves_nothing(
    tiny, write_corpus, toy_rows, scaled, precision, tmp_path, monkeypatch
):
    scaled()
    rows = [row | ({"srl_frames": []} if number % 2 else {}) for number, row in enumerate(toy_rows(8))]
    tiny["corpora"] = {"c": write_corpus("c", train=rows, dev=rows, test=rows)}
    tiny["tasks"] = {"srl": {"layer": "srl_frames", "head": {"kind": "srl", "width": 32}, "unseen_labels": "allow"}}
    tiny["mixture"] = {"tokens_per_batch": 100, "max_sentences": 1}
    tiny["training"] = {"epochs": 2, "precision": precision}
    learn, moved = Run.learn, {}

    def learning(self, lesson):
        before = {name: p.detach().clone() for name, p in self.learner.model.named_parameters()}
        learn(self, lesson)
        teaches = bool(lesson.step.rows[0][1]["srl_frames"])
        now = self.learner.model.named_parameters()
        moved.setdefault(teaches, []).append(any(not torch.equal(p, before[name]) for name, p in now))

    monkeypatch.setattr(Run, "learn", learning)
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=Console(quiet=True))
    assert not any(moved[False])
    assert any(moved[True])


def test_a_run_that_goes_on_has_the_same_scale(fit, scaled, monkeypatch):
    scaled(2.0**24)  # too large at first, so that it has moved when the run is stopped
    expected = fit("hard", "whole", epochs=6)

    def end(self, lesson):
        if self.course.step == 6:
            raise KeyboardInterrupt
        learn(self, lesson)

    learn = Run.learn
    with monkeypatch.context() as patched:
        patched.setattr(Run, "learn", end)
        with pytest.raises(KeyboardInterrupt):
            fit("hard", "run", epochs=6)
    found = fit("hard", "run", epochs=6, resume=True)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_a_machine_that_cannot_scale_is_told(fit):
    with pytest.raises(ConfigError, match=r"^training\.precision: 'fp16' is not offered on cpu; choose bf16"):
        fit("hard", "run")


FROZEN = {"decoders": 2, "init": ["independent", "freeze"], "update": ["greedy", "perturb"], "every": 4, "control": 0.2}


@pytest.mark.parametrize(
    "more", [{"pseudo_tasks": FROZEN}, {"accumulation": 2}], ids=["frozen decoders", "accumulation"]
)
def test_gradients_of_all_kinds_are_scaled(fit, scaled, tmp_path, monkeypatch, more):
    scaled(2.0**24)
    monkeypatch.setattr("seqmtl.training.loop.LOG_EVERY", 1)
    fit("hard", "run", epochs=8, **more)
    losses = losses_of(tmp_path / "run")
    for task in ("upos", "ner"):
        assert sum(step[task] for step in losses[-3:]) < sum(step[task] for step in losses[:3])


def test_a_process_has_one_precision(fit, scaled):
    scaled()
    fit("hard", "run", max_steps=1)
    with pytest.raises(
        ConfigError, match=r"^training\.precision: 'fp32', but .* was set up with 'fp16' in this process"
    ):
        fit("hard", "other", max_steps=1, precision="fp32")


def test_what_adds_to_gradients_is_refused(under, scaled, tmp_path):
    scaled()
    recipe = under("jmt")
    recipe["training"]["precision"] = "fp16"
    with pytest.raises(ConfigError, match=r"^sharing\.successive_regularisation: adds to gradients"):
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / "run", console=Console(quiet=True))
