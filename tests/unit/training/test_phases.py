"""Epochs of one task after the other, and the anchors between them: METHODS.md section 1.4."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqmtl.errors import ConfigError
from seqmtl.objectives.successive import SuccessiveRegularisation
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import SuccessiveRegularisationSpec
from seqmtl.training import train_recipe
from seqmtl.training.phases import Phases, build_phases, tasks_in_turn
from seqmtl.training.setup import prepare

TOWER = {"kind": "bilstm", "width": 16, "dropout": 0.0}
ORDER = ["chunk", "upos", "predicate"]  # not the recipe's


@pytest.fixture
def sequential(tiny):
    """A small joint many-task model whose tasks take turns."""
    tiny["tasks"] = {name: tiny["tasks"][name] | {"weight": 1.0} for name in ("upos", "chunk", "predicate")}
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    tiny["sharing"] = {"kind": "jmt", "tower": TOWER, "order": ORDER, "label_dim": 8, "successive_regularisation": {}}
    tiny["mixture"] = {"tokens_per_batch": 200, "schedule": "sequential"}
    tiny["corpora"]["toy"]["sizes"] = {"train": 30}
    return tiny


def ready(recipe):
    return prepare(RecipeSpec.parse(recipe, source="test"), folder=Path())


@pytest.fixture
def fit(tmp_path, quiet):
    def run(recipe, name="run"):
        out = tmp_path / name
        train_recipe(RecipeSpec.parse(recipe, source="test"), out, console=quiet)
        return load_file(out / "model.safetensors")

    return run


@pytest.fixture
def model(sequential):
    return ready(sequential).model


def names_of(model, parameters):
    wanted = {id(p) for p in parameters}
    return {name for name, p in model.named_parameters() if id(p) in wanted}


def starting(model, *prefixes):
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def test_tasks_take_turns_in_the_order_of_the_scheme_or_of_the_recipe(sequential):
    def order(recipe):
        made = ready(recipe)
        return [task.name for task in tasks_in_turn(made.recipe, made.tasks)]

    assert order(sequential) == ORDER
    sequential["sharing"]["order"] = None
    assert order(sequential) == ["upos", "chunk", "predicate"]
    assert order(sequential | {"sharing": {"kind": "hard"}}) == ["upos", "chunk", "predicate"]
    del sequential["sharing"]["successive_regularisation"]
    assert order(sequential | {"mixture": {}}) == []


def test_jmt3_anchors_are_taken_in_the_order_of_an_epoch(sequential, fit, monkeypatch):
    model = ready(sequential).model
    seen, anchor = [], SuccessiveRegularisation.anchor

    def spy(self, parameters, *, classifiers):
        parameters = list(parameters)
        anchor(self, parameters, classifiers=classifiers)
        seen.append([p.shape for p in parameters])
        assert self.term() == 0.0  # right after the phase before: nothing has moved since

    monkeypatch.setattr(SuccessiveRegularisation, "anchor", spy)
    sequential["training"]["epochs"] = 3
    fit(sequential)
    chunk, upos = model.serving_parameters(["chunk"]), model.serving_parameters(["upos"])
    embeddings = list(model.encoder.parameters())
    expected = [chunk, upos, embeddings, chunk, upos, embeddings, chunk, upos]  # none in epoch 1 for the first task
    assert seen == [[p.shape for p in parameters] for parameters in expected]


def test_jmt3_the_first_task_is_held_at_the_embeddings_that_the_last_one_left(model):
    phases = Phases(model, SuccessiveRegularisationSpec(delta=1.0, classifier_delta=1.0))

    def step(epoch, task):
        """One step of SGD on the term alone, after everything has moved by 1."""
        model.zero_grad()
        phases.add_gradient(epoch, task)
        moved = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        with torch.no_grad():
            for p in model.parameters():
                p.add_(1.0)
        return moved

    assert step(1, "chunk") == step(1, "chunk") == {}
    assert not any(grad.any() for grad in step(1, "upos").values())
    later = step(1, "upos")
    assert set(later) == names_of(model, model.serving_parameters(["chunk"]))
    assert all(torch.allclose(grad, torch.full_like(grad, 2.0)) for grad in later.values())  # moved by 1 since
    step(1, "predicate")
    assert not any(grad.any() for grad in step(2, "chunk").values())
    later = step(2, "chunk")
    assert set(later) == starting(model, "encoder.")
    assert all(torch.allclose(grad, torch.full_like(grad, 2.0)) for grad in later.values())


def test_a_task_alone_is_held_at_its_own_embeddings_of_the_epoch_before(model):
    phases = Phases(model, SuccessiveRegularisationSpec())
    for epoch in (1, 1):
        phases.add_gradient(epoch, "chunk")
    assert all(p.grad is None for p in model.parameters())
    phases.add_gradient(2, "chunk")
    assert {name for name, p in model.named_parameters() if p.grad is not None} == starting(model, "encoder.")


def test_what_the_paper_anchors_is_what_the_task_before_uses(model):
    lowest = starting(model, "encoder.", "sharing.towers.chunk.", "heads.chunk.")
    assert names_of(model, model.serving_parameters(["chunk"])) == lowest
    transitions = {name for name in starting(model, "heads.chunk.") if not name.startswith("heads.chunk.scorer.")}
    assert transitions  # of its CRF, which its label embedding does not read
    second = starting(model, "sharing.towers.upos.", "sharing.labels.chunk.", "heads.upos.")
    assert names_of(model, model.serving_parameters(["upos"])) == (lowest - transitions) | second


def test_what_a_task_itself_introduces_is_ungraded_by_its_term(model):
    phases = Phases(model, SuccessiveRegularisationSpec())
    phases.add_gradient(1, "chunk")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    phases.add_gradient(1, "upos")
    own = starting(model, "sharing.towers.upos.", "sharing.labels.chunk.", "heads.upos.")
    higher = starting(model, "sharing.towers.predicate.", "sharing.labels.upos.", "heads.predicate.")
    ungraded = {name for name, p in model.named_parameters() if p.grad is None}
    assert ungraded == own | higher


def test_classifiers_are_held_harder(model):
    phases = Phases(model, SuccessiveRegularisationSpec())
    phases.add_gradient(1, "chunk")
    phases.add_gradient(1, "upos")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5)
    model.zero_grad()
    phases.add_gradient(1, "upos")
    pulls = {name: p.grad.mean().item() for name, p in model.named_parameters() if p.grad is not None}
    for name, pull in pulls.items():
        assert pull == pytest.approx(1e-2 if name.startswith("heads.") else 1e-3, rel=1e-3), name


def test_a_weight_of_0_is_plain_sequential_training(sequential, fit):
    sequential["training"]["epochs"] = 2
    sequential["sharing"]["successive_regularisation"] = {"delta": 0.0, "classifier_delta": 0.0}
    zero = fit(sequential, "zero")
    sequential["sharing"]["successive_regularisation"] = None
    plain = fit(sequential, "plain")
    sequential["sharing"]["successive_regularisation"] = {"delta": 1.0, "classifier_delta": 1.0}
    held = fit(sequential, "held")
    assert all(torch.equal(zero[name], plain[name]) for name in plain)
    assert not any(torch.equal(held[name], plain[name]) for name in plain if name.startswith("encoder.embedding"))


@pytest.mark.parametrize("sharing", ["jmt", "hard"])
def test_in_a_phase_only_its_task_moves(sequential, fit, sharing):
    if sharing == "hard":
        sequential["sharing"] = {"kind": "hard"}
        sequential["tasks"] = {name: sequential["tasks"][name] for name in ORDER}
    sequential["training"] |= {"max_steps": 2, "weight_decay": 0.5}
    before = ready(sequential).model
    after = fit(sequential)
    moving = names_of(before, before.serving_parameters(["chunk"]))
    state = {name: value.clone() for name, value in before.state_dict().items()}
    assert moving
    for name, value in after.items():
        assert torch.equal(value, state[name]) == (name not in moving), name


def test_the_history_of_sequential_training_has_the_losses_of_every_task(sequential, fit, tmp_path):
    fit(sequential | {"mixture": {"tokens_per_batch": 20, "schedule": "sequential"}})
    events = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    losses = {task for event in events if event["kind"] == "train" for task in event["losses"]}
    assert losses == set(ORDER)
    [mixed] = [event for event in events if event["kind"] == "mixture"]
    assert mixed["rows"] == {"toy": 3 * 30}
    assert len(set(mixed["words"].values())) == 1


def test_the_regularisation_needs_phases(sequential):
    sequential["mixture"]["schedule"] = "interleaved"
    with pytest.raises(ConfigError, match=r"sharing\.successive_regularisation.*mixture\.schedule is 'interleaved'"):
        RecipeSpec.parse(sequential, source="test")


def test_nothing_is_held_unless_the_recipe_asks_for_it(sequential, model):
    assert build_phases(RecipeSpec.parse(sequential, source="test"), model) is not None
    sequential["sharing"]["successive_regularisation"] = None
    assert build_phases(RecipeSpec.parse(sequential, source="test"), model) is None


def test_rows_that_teach_no_task_are_an_error_before_training(sequential, write_corpus, toy_rows, fit, tmp_path):
    rows = [{"id": row["id"], "tokens": row["tokens"], "upos": row["upos"]} for row in toy_rows(4)]
    names = [{"id": row["id"], "tokens": row["tokens"], "ner_tags": row["ner_tags"]} for row in toy_rows(4)]
    sequential["tasks"] = {"upos": sequential["tasks"]["upos"]}
    sequential["sharing"] = {"kind": "hard"}
    sequential["corpora"] = {"tagged": write_corpus("tagged", train=rows), "names": write_corpus("names", train=names)}
    sequential["mixture"]["rates"] = {"kind": "weights", "weights": {"names": 1.0}}
    with pytest.raises(ConfigError, match=r"mixture\.schedule: no row that is drawn teaches any task"):
        fit(sequential)
    assert not list((tmp_path / "run").iterdir())
