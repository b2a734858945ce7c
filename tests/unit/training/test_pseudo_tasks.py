"""Algorithm 1 in training: the schedule, what is frozen, which decoder predicts, and what is left in the end."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.collation import Collator
from seqmtl.errors import ConfigError
from seqmtl.evaluation.decoders import EachDecoder
from seqmtl.evaluation.ensemble import Ensemble
from seqmtl.evaluation.evaluator import predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.heads.srl import SRLHead
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.training import TrainingSpec
from seqmtl.training import evaluate_checkpoint, train_recipe
from seqmtl.training.dec_update import moments
from seqmtl.training.history import BEST_DECODERS, META_ITERATION
from seqmtl.training.optimisation import build_optimizer
from seqmtl.training.pseudo_tasks import PseudoTasks, build_pseudo_tasks
from seqmtl.training.setup import prepare

ALONE = SimpleNamespace(process_index=0, num_processes=1)
EVERYTHING = {"init": ["dropout"], "update": ["greedy", "perturb", "hyperperturb"]}


@pytest.fixture
def fit(tiny, tmp_path, quiet):
    """Train the tiny recipe with these pseudo-tasks; return the run folder and its history."""
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"

    def run(name="run", *, steps=6, **keys):
        recipe = copy.deepcopy(tiny) | ({"pseudo_tasks": keys} if keys else {})
        recipe["training"] |= {"epochs": 9, "max_steps": steps}
        out = tmp_path / name
        train_recipe(RecipeSpec.parse(recipe, source="test"), out, console=quiet)
        return out, [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]

    return run


class Training:
    """A run by hand: a model with its optimiser, under pseudo-tasks."""

    def __init__(self, recipe, *, rows=12, steps=100, **keys):
        spec = RecipeSpec.parse(copy.deepcopy(recipe) | {"pseudo_tasks": keys}, source="test")
        self.prepared = prepare(spec, folder=Path())
        self.model = self.prepared.model.train()
        self.optimizer = build_optimizer(self.model, TrainingSpec(weight_decay=0.5))
        self.control = build_pseudo_tasks(self.prepared, self.optimizer, steps=steps, processes=ALONE)
        self.rows = [("toy", row) for row in self.prepared.train["toy"].rows[:rows]]
        self.done = 0

    def losses(self):
        batch = Collator(self.prepared.indexer, self.prepared.tasks)(self.rows)
        losses = self.model(batch.inputs, batch.targets)
        words = {task: int(loss.count) for task, loss in losses.tasks.items()}
        weights = dict.fromkeys(words, 1.0)
        return joint_loss(losses, weights=weights, words=words, processes=1, micro_batches=1)

    def step(self):
        self.losses().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        self.control.after_step(self.done, None)

    def own(self):
        """What each decoder of each task has, with its moments."""
        found = {}
        for task, head in self.model.heads.items():
            for name, values in head.own().items():
                for n, part in enumerate((values, *moments(self.optimizer, values))):
                    found[f"{task}.{name}.{n}"] = part.detach().clone()
        return found


def pretend(training, monkeypatch, **costs):
    """Control costs that somebody says."""
    monkeypatch.setattr(training.control, "costs", lambda: costs)


def of_kind(events, kind):
    return [event for event in events if event["kind"] == kind]


# --- one decoder


def test_pt1_one_decoder_is_the_base_system_to_the_bit(fit, tmp_path):
    plain, events = fit("plain")
    one, same = fit("one", decoders=1, every=2, control="dev")
    weights, others = (load_file(folder / "model.safetensors") for folder in (plain, one))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert [e["losses"] for e in of_kind(events, "train")] == [e["losses"] for e in of_kind(same, "train")]
    config = json.loads((one / "config.json").read_text())
    assert config == json.loads((plain / "config.json").read_text())
    assert config["decoders"] == {}


def test_nobody_is_in_charge_without_several_decoders(tiny):
    assert Training(tiny, decoders=1).control is None
    tiny["pseudo_tasks"] = None
    assert (
        build_pseudo_tasks(prepare(RecipeSpec.parse(tiny, source="x"), folder=Path()), None, steps=1, processes=ALONE)
        is None
    )


# --- freezing


def test_pt3_frozen_decoders_keep_their_bits_and_teach_the_encoder(tiny):
    frozen, free = (Training(tiny, decoders=3, init=init, every=1000) for init in (["freeze"], ["independent"]))
    free.model.load_state_dict(frozen.model.state_dict())
    for training in (frozen, free):
        torch.manual_seed(3)
        training.losses().backward()
    below = [name for name, _ in free.model.named_parameters() if not name.startswith("heads.")]
    below += [f"heads.srl.{name}" for name, _ in free.model.heads["srl"].named_parameters() if "scorer" not in name]
    assert below
    for name in below:
        assert torch.equal(frozen.model.get_parameter(name).grad, free.model.get_parameter(name).grad), name
    for training in (frozen, free):
        training.optimizer.zero_grad()
        training.start = training.own()
        for _ in range(4):
            training.step()
    moved = frozen.own()
    assert moved.keys() == free.own().keys() > frozen.start.keys()
    for name, values in moved.items():
        old = frozen.start.get(name, torch.zeros_like(values))  # there are no moments before the first step
        assert torch.equal(values[1:], old[1:]), name
        assert not torch.equal(values[0], old[0]), name
        assert not torch.equal(free.own()[name][1:], old[1:]), name


def test_frozen_decoders_are_moved_by_noise_alone(tiny):
    training = Training(tiny, decoders=3, init=["freeze"], update=["perturb"], every=3)
    before = training.own()
    for _ in range(2):
        training.step()
    assert all(torch.equal(training.own()[name][1:], values[1:]) for name, values in before.items())
    training.step()
    for task, head in training.model.heads.items():
        assert not torch.equal(head.scorer.outer.weight[1:], before[f"{task}.scorer.outer.weight.0"][1:])
        assert all(not part[1:].any() for part in moments(training.optimizer, head.scorer.outer.weight))


def test_a_decoder_that_is_not_read_rests_in_a_step_without_its_task(tiny):
    tiny["encoder"]["layers"] = 0
    tiny["sharing"] = {"kind": "jmt", "tower": {"kind": "bilstm", "width": 16}, "label_dim": 8}
    training = Training(tiny, decoders=2, every=1000)
    training.step()
    training.model.choose_decoder("upos", 1)
    collate = Collator(training.prepared.indexer, training.prepared.tasks)
    before = training.own()
    losses = training.model(*(lambda b: (b.inputs, b.targets))(collate(training.rows, only="ner")))
    losses.tasks["ner"].total.mean().backward()
    for parameter in training.model.resting_parameters(["ner"]):
        parameter.grad = None
    training.optimizer.step()
    for name, values in training.own().items():
        if name.startswith("upos."):  # read by the layer of ner, through its best decoder
            assert torch.equal(values[0], before[name][0]), name
            assert not torch.equal(values[1], before[name][1]), name


# --- the meta-iteration


@pytest.mark.parametrize(("every", "steps"), [(2, 6), (4, 7), (1, 3), (7, 7)])
def test_pt8_decoders_are_updated_once_per_meta_iteration(fit, every, steps, monkeypatch):
    updated = []
    update = PseudoTasks.after_step.__globals__["dec_update"]
    monkeypatch.setitem(
        PseudoTasks.after_step.__globals__,
        "dec_update",
        lambda *args, **options: (updated.append(options["leader"]), update(*args, **options))[1],
    )
    _, events = fit(steps=steps, decoders=2, update=["perturb"], every=every)
    assert [event["step"] for event in of_kind(events, META_ITERATION)] == list(range(every, steps + 1, every))
    assert len(updated) == steps // every * 5  # tasks


def test_a_run_that_ends_before_its_first_update_is_refused(fit, tmp_path):
    with pytest.raises(ConfigError, match=r"pseudo_tasks\.every: 7, but the run has 6 steps, so that greedy, perturb"):
        fit(decoders=2, update=["greedy", "perturb"], every=7)
    assert not (tmp_path / "run" / "history.jsonl").exists()
    fit(decoders=2, every=7)  # nothing would have happened


def test_every_decoder_is_scored_in_one_encoder_pass_per_batch(tiny, monkeypatch):
    training, passes = Training(tiny, decoders=4, every=1), []
    training.model.encoder.register_forward_hook(lambda *_: passes.append(1))
    batches, annotate = [], EachDecoder.__call__
    monkeypatch.setattr(EachDecoder, "__call__", lambda self, rows: (batches.append(rows), annotate(self, rows))[1])
    costs = training.control.costs()
    assert len(passes) == len(batches)
    assert sum(map(len, batches)) == len(training.prepared.control["toy"]) == 6
    assert {task: len(values) for task, values in costs.items()} == dict.fromkeys(training.model.tasks, 4)


def test_a_cost_is_one_minus_the_main_score_of_a_model_with_that_decoder(tiny):
    training = Training(tiny, decoders=3, control="dev")
    for _ in range(25):
        training.step()
    costs = training.control.costs()
    assert len({value for values in costs.values() for value in values}) > 4
    annotator = Annotator(training.model, training.prepared.indexer)
    for k in range(3):
        for task in training.model.tasks:
            training.model.choose_decoder(task, k)
        rows = training.prepared.dev["toy"]
        scores = score_rows(training.model.tasks, rows=rows, predictions=predict_rows(annotator, rows), corpus="toy")
        for task, score in scores.items():
            assert costs[task][k] == 1 - score.main_value


def test_costs_are_means_over_corpora(tiny, write_corpus, toy_rows, monkeypatch):
    rows = toy_rows(24)
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"] | {"unseen_labels": "allow"}}
    tiny["corpora"] = {
        name: write_corpus(name, train=rows, dev=part) for name, part in (("a", rows[:1]), ("b", rows[1:9]))
    }
    tiny["pseudo_tasks"] = {"decoders": 2, "control": "dev"}
    prepared = prepare(RecipeSpec.parse(tiny, source="x"), folder=Path())
    control = build_pseudo_tasks(prepared, build_optimizer(prepared.model, TrainingSpec()), steps=9, processes=ALONE)
    both = control.costs()["upos"]
    single = []
    for name in ("a", "b"):
        control.control = {name: prepared.control[name]}
        single.append(control.costs()["upos"])
    assert both == pytest.approx([(a + b) / 2 for a, b in zip(*single, strict=True)])


def test_pt5_each_task_follows_its_own_leader_and_equal_costs_the_first(tiny, monkeypatch):
    training = Training(tiny, decoders=3, init=["dropout"], update=["greedy"], every=2)
    training.step()
    costs = {
        "upos": [0.3, 0.1, 0.2],
        "chunk": [0.5, 0.4, 0.4],
        "ner": [1.0] * 3,
        "predicate": [0.2, 0.3, 0.1],
        "srl": [0.0] * 3,
    }
    pretend(training, monkeypatch, **costs)
    training.step()
    assert {task: training.model.best_decoder(task) for task in costs} == {
        "upos": 1,
        "chunk": 1,
        "ner": 0,
        "predicate": 2,
        "srl": 0,
    }
    for values in training.own().values():
        assert torch.equal(values, values[:1].expand_as(values))


def test_pt6_after_greedy_and_perturb_the_first_decoder_predicts(tiny, monkeypatch):
    training = Training(tiny, decoders=3, update=["greedy", "perturb"], every=1)
    pretend(training, monkeypatch, upos=[0.3, 0.1, 0.2], srl=[0.3, 0.2, 0.1])
    old = {task: training.model.head(task).scorer.outer.weight.detach().clone() for task in ("upos", "srl")}
    training.control.after_step(1, None)
    for task, leader in (("upos", 1), ("srl", 2)):
        assert training.model.best_decoder(task) == 0
        assert torch.equal(training.model.head(task).scorer.outer.weight[0], old[task][leader])


def test_pt9_the_decoder_of_least_cost_predicts_not_the_first_and_not_the_mean(tiny, monkeypatch):
    training = Training(tiny, decoders=3, every=1000)
    for _ in range(10):
        training.step()
    pretend(training, monkeypatch, **{task: [0.3, 0.2, 0.1] for task in training.model.tasks})
    training.control.choose(10, None)
    model, rows = training.model.eval(), [row for _, row in training.rows]
    said = Annotator(model, training.prepared.indexer)(rows)
    each = training.control.judge(rows)
    for task, layer in (("upos", "tags"), ("chunk", "tags"), ("srl", "frames_of_gold")):
        ours = [getattr(one, layer)[task] for one in said]
        by_decoder = [[getattr(one[k], layer)[task] for one in each] for k in range(3)]
        assert ours == by_decoder[2]
        assert ours not in by_decoder[:2]
    together = Annotator(model, training.prepared.indexer, reader=Ensemble(model))(rows)
    assert [one.tags for one in together] != [one.tags for one in said]


def test_comparing_decoders_draws_nothing_so_that_training_goes_on_as_without(fit):
    weights = [
        load_file(fit(name, decoders=3, every=every, keep_decoders=True)[0] / "model.safetensors")
        for name, every in (("a", 1), ("b", 5))
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_is_kept_in_checkpoints_does_not_change_training(fit, tiny):
    tiny["training"] |= {"evaluate_every": 1}
    found = [fit(f"{kept}", steps=24, decoders=3, every=9, keep_decoders=kept)[1] for kept in (True, False)]
    ours, theirs = ([{k: v for k, v in e.items() if k != "words_per_second"} for e in events] for events in found)
    assert sum(event["kind"] == "dev" for event in ours) > 1
    assert ours == theirs


def test_the_history_has_costs_leaders_and_rates(fit):
    _, events = fit(steps=5, decoders=3, every=2, **EVERYTHING)
    found = of_kind(events, META_ITERATION)
    tasks = ["upos", "chunk", "ner", "predicate", "srl"]
    assert [event["step"] for event in found] == [2, 4]
    for event in found:
        assert list(event["costs"]) == list(event["leaders"]) == list(event["rates"]) == tasks
        for task in tasks:
            costs = event["costs"][task]
            assert len(costs) == len(event["rates"][task]) == 3
            assert event["leaders"][task] == costs.index(min(costs))
    assert found[0]["rates"]["upos"] == pytest.approx([0.1] * 3)
    assert found[1]["rates"]["upos"][1:] != pytest.approx([0.1] * 2)
    chosen = of_kind(events, BEST_DECODERS)
    assert [event["step"] for event in chosen] == [event["step"] for event in of_kind(events, "dev")]
    _, plain = fit("plain", steps=2, decoders=2, every=2)
    assert of_kind(plain, META_ITERATION)[0]["rates"] == {}


def test_noise_is_that_of_run_meta_iteration_and_task(tiny, monkeypatch):
    def noise(seed, step):
        tiny["training"]["seed"] = seed
        training = Training(tiny, decoders=2, update=["perturb"], every=2)
        pretend(training, monkeypatch, **{task: [0.0, 0.0] for task in training.model.tasks})
        before = training.own()
        torch.manual_seed(step)  # which has no say
        training.control.after_step(step, None)
        after = training.own()
        return {name: (after[name] - before[name])[1] / before[name][1].std(correction=0) for name in after}

    first = noise(1, 2)
    for name, value in noise(1, 2).items():
        assert torch.equal(value, first[name])
    assert not torch.allclose(noise(1, 4)["upos.scorer.outer.weight.0"], first["upos.scorer.outer.weight.0"])
    assert not torch.allclose(noise(2, 2)["upos.scorer.outer.weight.0"], first["upos.scorer.outer.weight.0"])
    rows = [first[f"{task}.scorer.outer.weight.0"].flatten()[:30] for task in ("upos", "chunk", "ner")]
    assert not torch.allclose(rows[0], rows[1], atol=0.01)
    assert not torch.allclose(rows[1], rows[2], atol=0.01)


@pytest.mark.parametrize("killed", [2, 3, 5])
def test_a_run_that_goes_on_from_its_saved_state_is_the_run_that_was_never_stopped(tiny, killed):
    keys = {"decoders": 3, "init": ["freeze", "dropout"], "update": EVERYTHING["update"], "every": 3}
    whole, first, second = (Training(tiny, **keys) for _ in range(3))
    torch.manual_seed(7)
    for _ in range(8):
        whole.step()
    torch.manual_seed(7)
    for _ in range(killed):
        first.step()
    state = json.loads(json.dumps(first.control.state_dict()))
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    second.control.load_state_dict(state)
    second.done = killed
    for _ in range(8 - killed):
        second.step()
    ours, theirs = second.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert second.control.state_dict() == whole.control.state_dict()


# --- what is left in the end


def test_a_checkpoint_has_the_best_decoder_alone_unless_all_are_kept(fit):
    kept, events = fit("kept", decoders=3, every=3, keep_decoders=True, **EVERYTHING)
    slim, _ = fit("slim", decoders=3, every=3, **EVERYTHING)
    best = of_kind(events, BEST_DECODERS)[-1]["leaders"]
    config = json.loads((kept / "config.json").read_text())["decoders"]
    assert config == {task: {"count": 3, "own_dropout": True, "best": best[task]} for task in best}
    assert json.loads((slim / "config.json").read_text())["decoders"] == {}
    weights, sliced = (load_file(folder / "model.safetensors") for folder in (kept, slim))
    assert {name for name in weights if name not in sliced} == {f"heads.{task}.scorer.rates" for task in best}
    model = load_checkpoint(kept)[0]
    for name, values in sliced.items():
        task = name.split(".")[1]
        own = name.startswith("heads.") and name.removeprefix(f"heads.{task}.") in model.heads[task].own()
        assert torch.equal(values, weights[name][best[task] : best[task] + 1] if own else weights[name]), name
    assert (slim / "metrics.json").read_text() == (kept / "metrics.json").read_text()
    assert evaluate_checkpoint(slim)["toy"].predictions == evaluate_checkpoint(kept)["toy"].predictions


@torch.no_grad()
def test_k_to_1_keeps_every_bit_of_what_the_best_decoder_says(tiny):
    tiny["tasks"]["upos"]["head"]["hidden"] = 7
    training = Training(tiny, decoders=4, init=["dropout"], every=1000)
    model = training.model.eval()
    for number, task in enumerate(model.tasks):
        model.choose_decoder(task, 1 + number % 3)
    batch = Collator(training.prepared.indexer, training.prepared.tasks)(training.rows)
    rows = [row for _, row in training.rows]

    def scores():
        features, found = model.features(batch.inputs, list(model.tasks)), {}
        for task, head in model.heads.items():
            states = features[task]
            if isinstance(head, SRLHead):
                states = head.states(states, batch.inputs.word_mask, batch.targets[task].predicates)
            found[task] = head.scorer.one(states, decoder=model.best_decoder(task))
        return found

    before, said = scores(), Annotator(model, training.prepared.indexer)(rows)
    parameters = model.num_parameters()
    drawing, several = torch.get_rng_state(), model
    model = several.with_best_decoders()
    assert torch.equal(torch.get_rng_state(), drawing)
    assert several.config.decoders
    assert several.num_parameters() == parameters
    assert model.encoder is several.encoder
    assert model.config.decoders == {}
    assert all(head.decoders == 1 for head in model.heads.values())
    assert not model.training
    assert not any(module.training for module in model.modules())
    assert model.num_parameters() < parameters
    assert all(torch.equal(values, before[task]) for task, values in scores().items())
    assert Annotator(model, training.prepared.indexer)(rows) == said
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    again = model.with_best_decoders()  # nothing is left to do
    assert all(torch.equal(values, weights[name]) for name, values in again.state_dict().items())


def test_each_tasks_best_checkpoint_has_one_decoder_too(fit, tiny):
    tiny["training"]["save_best_per_task"] = True
    out, _ = fit(steps=3, decoders=2, every=2)
    for folder in (out, *(out / "best").iterdir()):
        model, _ = load_checkpoint(folder)
        assert all(head.decoders == 1 for head in model.heads.values())


def test_some_tasks_have_several_decoders_and_the_others_one(fit):
    out, events = fit(steps=4, decoders=3, every=2, tasks=["ner", "srl"], keep_decoders=True)
    assert list(of_kind(events, META_ITERATION)[0]["costs"]) == ["ner", "srl"]
    model, _ = load_checkpoint(out)
    assert {task: head.decoders for task, head in model.heads.items()} == {
        "upos": 1,
        "chunk": 1,
        "ner": 3,
        "predicate": 1,
        "srl": 3,
    }


def test_without_dev_the_last_weights_are_kept_with_the_best_decoder(fit, tiny):
    tiny["corpora"]["toy"]["sizes"] = {"train": 60}
    out, events = fit(steps=4, decoders=2, every=3)
    assert [event["step"] for event in of_kind(events, BEST_DECODERS)] == [4]
    assert load_checkpoint(out)[0].head("upos").decoders == 1
