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
from seqmtl.training import train_recipe
from seqmtl.training.learner import Cost, Learner
from seqmtl.training.loss_watch import LossWatch

ROWS = [("toy", {"id": f"s{n}", "tokens": ["a"]}) for n in range(5)]


def cost(rows=ROWS, *, penalties=None, **tasks):
    found = {task: HeadLoss(torch.tensor(total), torch.tensor(1.0)) for task, total in tasks.items()}
    return Cost(rows, Losses(found, {name: torch.tensor(value) for name, value in (penalties or {}).items()}))


@pytest.fixture
def watch(tmp_path):
    return LossWatch(tmp_path, accelerator=Accelerator(cpu=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_step_that_is_not_finite_names_task_and_rows(watch, tmp_path, bad):
    watch.add(35, [cost(a=[1.0, 2.0], b=[1.0])])
    watch.add(36, [cost(a=[1.0, 2.0], b=[1.0]), cost(ROWS[:4], a=[1.0, 2.0], b=[bad])])
    watch.add(37, [cost(a=[math.nan, math.nan], b=[math.nan])])  # as are all after it
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
    watch.add(1, [cost(ROWS[:1], a=[1.0, math.nan])])
    with pytest.raises(TrainingError, match=r"^the loss of task 'a' is nan in step 1, rows toy/s0 \("):
        watch.look()


@pytest.mark.parametrize(("name", "key"), [("distance", "weight"), ("adversary", "adversary")])
def test_a_penalty_names_its_key(watch, name, key):
    watch.add(1, [cost(a=[1.0], penalties={"other": 1.0, name: math.nan})])
    with pytest.raises(TrainingError, match=rf"^the penalty '{name}' \(sharing\.{key}\) is nan in step 1") as caught:
        watch.look()
    assert str(caught.value).endswith(f"lengthen training.warmup, or lower sharing.{key}")
    watch.add(2, [cost(a=[math.nan], penalties={name: math.nan})])
    with pytest.raises(
        TrainingError, match=rf"^the loss of task 'a' is nan and the penalty '{name}' .* is nan in step 2"
    ):
        watch.look()


def test_what_was_looked_at_is_not_looked_at_again(watch):
    watch.look()
    watch.add(1, [cost(a=[1.0])])
    watch.look()
    watch.add(2, [cost(a=[math.nan])])
    with pytest.raises(TrainingError, match="in step 2"):
        watch.look()
    watch.look()


@pytest.mark.parametrize(
    ("theirs", "message"), [(2.0, "another process is not finite in step 2"), (4.0, "in step 3, rows")]
)
def test_of_several_processes_the_first_is_to_blame(tmp_path, theirs, message):
    others = SimpleNamespace(
        gather=lambda mine: torch.cat([mine, torch.tensor([theirs])]), device=torch.device("cpu"), process_index=1
    )
    watch = LossWatch(tmp_path, accelerator=others)
    watch.add(2, [cost(a=[1.0])])
    watch.add(3, [cost(a=[math.nan])])
    with pytest.raises(TrainingError, match=message):
        watch.look()
    assert (tmp_path / "not_finite-1.json").exists() == (theirs > 3)


@pytest.fixture
def poisoned(under, monkeypatch):
    """A recipe whose sixth step has a loss that is not a number; the rows of that step."""
    learn, steps = Learner.learn, []

    def poisoning(self, step, **how):
        costs = learn(self, step, **how)
        steps.append([row["id"] for _, row in step.rows])
        if len(steps) == 6:
            costs[0].losses.tasks["ner"].total.mul_(math.nan)
        return costs

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
