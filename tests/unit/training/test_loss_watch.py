"""The first loss that is not finite is named, with its rows."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from seqmtl.errors import TrainingError
from seqmtl.heads.base import HeadLoss
from seqmtl.objectives.losses import Losses
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import learner, train_recipe
from seqmtl.training.learner import Cost, Learner, Taken
from seqmtl.training.loss_watch import LossWatch

ROWS = [("toy", {"id": f"s{n}", "tokens": ["a"]}) for n in range(5)]


def cost(rows=ROWS, *, penalties=None, **tasks):
    found = {task: HeadLoss(torch.tensor(total), torch.tensor(1.0)) for task, total in tasks.items()}
    return Cost(rows, Losses(found, {name: torch.tensor(value) for name, value in (penalties or {}).items()}))


def taken(*costs, norm=1.0):
    return Taken(costs, torch.tensor(norm))


@pytest.fixture
def watch(tmp_path):
    return LossWatch(tmp_path, accelerator=Accelerator(cpu=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_step_that_is_not_finite_names_task_and_rows(watch, tmp_path, bad):
    watch.add(35, taken(cost(a=[1.0, 2.0], b=[1.0])))
    watch.add(36, taken(cost(a=[1.0, 2.0], b=[1.0]), cost(ROWS[:4], a=[1.0, 2.0], b=[bad])))
    watch.add(37, taken(cost(a=[math.nan, math.nan], b=[math.nan])))  # as are all after it
    file = tmp_path / "not_finite-0.json"
    shown = (
        rf"^the loss of task 'b' is -?(nan|inf) in step 36, rows toy/s0, toy/s1, toy/s2 and 1 more \({file}\); lower"
    )
    with pytest.raises(TrainingError, match=shown) as caught:
        watch.look()
    assert str(caught.value).endswith("; lower training.learning_rates, or lengthen training.warmup")
    assert json.loads(file.read_text()) == {
        "step": 36,
        "values": {"loss of task 'a'": "1.5", "loss of task 'b'": str(bad)},
        "rows": [{"corpus": "toy", "id": f"s{n}"} for n in range(4)],
    }


def test_one_of_several_decoders_is_enough(watch):
    watch.add(1, taken(cost(ROWS[:1], a=[1.0, math.nan])))
    with pytest.raises(TrainingError, match=r"^the loss of task 'a' is nan in step 1, rows toy/s0 \("):
        watch.look()


@pytest.mark.parametrize(("name", "key"), [("distance", "weight"), ("adversary", "adversary")])
def test_a_penalty_names_its_key(watch, name, key):
    watch.add(1, taken(cost(a=[1.0], penalties={"other": 1.0, name: math.nan})))
    with pytest.raises(TrainingError, match=rf"^the penalty '{name}' \(sharing\.{key}\) is nan in step 1") as caught:
        watch.look()
    assert str(caught.value).endswith(f"lengthen training.warmup, or lower sharing.{key}")
    watch.add(2, taken(cost(a=[math.nan], penalties={name: math.nan})))
    with pytest.raises(
        TrainingError, match=rf"^the loss of task 'a' is nan and the penalty '{name}' .* is nan in step 2"
    ):
        watch.look()


def test_what_was_looked_at_is_not_looked_at_again(watch):
    watch.look()
    watch.add(1, taken(cost(a=[1.0])))
    watch.look()
    watch.add(2, taken(cost(a=[math.nan])))
    with pytest.raises(TrainingError, match="in step 2"):
        watch.look()
    watch.look()


@pytest.mark.parametrize(
    ("theirs", "message"), [(2.0, "another process is not finite in step 2"), (4.0, "in step 3, rows")]
)
def test_of_several_processes_the_first_is_to_blame(tmp_path, theirs, message):
    others = SimpleNamespace(
        gather=lambda mine: torch.cat([mine, torch.tensor([[theirs, math.inf]])]),
        device=torch.device("cpu"),
        process_index=1,
        scaler=None,
    )
    watch = LossWatch(tmp_path, accelerator=others)
    watch.add(2, taken(cost(a=[1.0])))
    watch.add(3, taken(cost(a=[math.nan])))
    with pytest.raises(TrainingError, match=message):
        watch.look()
    assert (tmp_path / "not_finite-1.json").exists() == (theirs > 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_where_only_the_gradient_is_not_finite_all_rows_of_the_step_are_named(watch, tmp_path, bad):
    watch.add(3, taken(cost(ROWS[:1], a=[1.0])))
    watch.add(4, taken(cost(ROWS[:2], a=[1.0]), cost(ROWS[2:], a=[1.0]), norm=bad))
    watch.add(5, taken(cost(a=[math.nan]), norm=math.nan))
    shown = rf"^the norm of the gradient is {bad} in step 4, rows toy/s0, toy/s1, toy/s2 and 2 more \("
    with pytest.raises(TrainingError, match=shown):
        watch.look()
    blamed = json.loads((tmp_path / "not_finite-0.json").read_text())
    assert blamed["values"] == {"norm of the gradient": str(bad)}
    assert [row["id"] for row in blamed["rows"]] == ["s0", "s1", "s2", "s3", "s4"]


def test_a_loss_in_the_same_step_says_more_than_the_gradient(watch):
    watch.add(4, taken(cost(a=[1.0]), cost(ROWS[:1], b=[math.nan]), norm=math.nan))
    with pytest.raises(TrainingError, match=r"^the loss of task 'b' is nan in step 4, rows toy/s0 \("):
        watch.look()


class Poison(torch.autograd.Function):
    """The identity, with a gradient that is not a number."""

    @staticmethod
    def forward(_, value):
        return value.clone()

    @staticmethod
    def backward(_, gradient):
        return gradient * math.nan


@pytest.mark.parametrize(("training", "last"), [({"save_every": None}, 8), ({"save_every": 6}, 6)])
def test_a_gradient_that_is_not_finite_under_a_finite_loss_stops_the_run(
    under, tmp_path, quiet, monkeypatch, training, last
):
    recipe, steps, learn, joint = under("hard"), [], Learner.learn, learner.joint_loss
    recipe["training"] |= training

    def learning(self, lesson, **how):
        steps.append(sorted(row["id"] for _, row in lesson.step.rows))
        return learn(self, lesson, **how)

    def poisoning(losses, **how):
        loss = joint(losses, **how)
        return Poison.apply(loss) if len(steps) == 6 else loss

    monkeypatch.setattr(Learner, "learn", learning)
    monkeypatch.setattr(learner, "joint_loss", poisoning)
    with pytest.raises(TrainingError, match=r"^the norm of the gradient is nan in step 6, rows"):
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / "run", console=quiet)
    assert len(steps) == last
    blamed = json.loads((tmp_path / "run" / "not_finite-0.json").read_text())
    assert sorted(row["id"] for row in blamed["rows"]) == steps[5]
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == ["step-00000004"]


@pytest.fixture
def poisoned(under, monkeypatch):
    """A recipe whose sixth step has a loss that is not a number; the rows of that step."""
    learn, steps = Learner.learn, []

    def poisoning(self, lesson, **how):
        taken = learn(self, lesson, **how)
        steps.append([row["id"] for _, row in lesson.step.rows])
        if len(steps) == 6:
            taken.costs[0].losses.tasks["ner"].total.mul_(math.nan)
        return taken

    monkeypatch.setattr(Learner, "learn", poisoning)
    return under("hard"), steps


@pytest.mark.parametrize(
    ("training", "last"), [({"save_every": None}, 8), ({"save_every": 7}, 7), ({"save_every": 6}, 6)]
)
def test_a_run_stops_before_what_is_not_finite_is_saved(poisoned, tmp_path, quiet, training, last):
    recipe, steps = poisoned
    recipe["training"] |= training
    with pytest.raises(TrainingError, match=r"^the loss of task 'ner' is nan in step 6"):
        train_recipe(RecipeSpec.parse(recipe, source="test"), tmp_path / "run", console=quiet)
    assert len(steps) == last  # nobody looks at each step
    blamed = json.loads((tmp_path / "run" / "not_finite-0.json").read_text())
    assert sorted(row["id"] for row in blamed["rows"]) == sorted(steps[5])
    assert {row["corpus"] for row in blamed["rows"]} == {"toy"}
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == ["step-00000004"]


def test_another_run_in_the_folder_removes_the_file(poisoned, tmp_path, quiet, monkeypatch):
    recipe, _ = poisoned
    spec = RecipeSpec.parse(recipe, source="test")
    with pytest.raises(TrainingError):
        train_recipe(spec, tmp_path / "run", console=quiet)
    train_recipe(spec, tmp_path / "run", console=quiet)
    assert not list((tmp_path / "run").glob("not_finite*"))
