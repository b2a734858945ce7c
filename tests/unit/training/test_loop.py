import copy
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import BatchStream, Mixture, Step
from seqmtl.errors import ConfigError, EncoderError, TrainingError
from seqmtl.evaluation import TaskScore
from seqmtl.objectives.weighting import joint_loss
from seqmtl.sharing.coupling import coupling_to_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.training import TrainingSpec
from seqmtl.training import learner, loop, progress, train_recipe
from seqmtl.training.learner import labelled_words, rest_absent_tasks
from seqmtl.training.loop import mean_over_corpora
from seqmtl.training.optimisation import build_optimizer
from seqmtl.training.setup import prepare


@pytest.fixture
def fit(tmp_path, quiet):
    """Train a recipe into a folder of its own; return weights and history."""

    def run(recipe, name="run"):
        out = tmp_path / name
        train_recipe(RecipeSpec.parse(recipe, source="test"), out, console=quiet)
        events = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        return load_file(out / "model.safetensors"), events

    return run


def without_dropout(recipe):
    recipe["encoder"] |= {"dropout": 0.0, "word_dropout": 0.0}
    recipe["encoder"]["characters"]["dropout"] = 0.0
    for task in recipe["tasks"].values():
        task["head"]["dropout"] = 0.0
    return recipe


def ready(recipe):
    return prepare(RecipeSpec.parse(recipe, source="test"), folder=Path())


def steps_of(events, kind):
    return [event["step"] for event in events if event["kind"] == kind]


def test_the_same_seed_twice_gives_bit_equal_weights(tiny, fit):
    tiny["training"]["max_steps"] = 4
    first, events = fit(tiny, "first")
    second, other_events = fit(tiny, "second")
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [[event["losses"] for event in run if event["kind"] == "train"] for run in (events, other_events)]
    assert losses[0] == losses[1]
    tiny["training"]["seed"] = 2
    other, _ = fit(tiny, "third")
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_one_batch_of_32_and_two_of_16_give_the_same_parameters(tiny, fit):
    without_dropout(tiny)
    tiny["training"] |= {"max_steps": 5, "learning_rates": {"encoder": 1e-3, "heads": 1e-3}}
    tiny["mixture"] = {"tokens_per_batch": 400, "max_sentences": 32}
    whole, _ = fit(tiny, "whole")
    tiny["training"]["accumulation"] = 2
    tiny["mixture"] = {"tokens_per_batch": 200, "max_sentences": 16}
    halves, _ = fit(tiny, "halves")
    for name, value in whole.items():
        torch.testing.assert_close(halves[name], value, rtol=0, atol=1e-6, msg=name)


def test_a_penalty_on_parameters_counts_once_per_step_whatever_the_accumulation(tiny, fit):
    without_dropout(tiny)
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    tower = {"kind": "bilstm", "width": 8, "dropout": 0.0}
    tiny["sharing"] = {"kind": "sluice", "tower": tower, "orthogonality": 30.0}
    rates = {"encoder": 1e-3, "sharing": 1e-2, "mixing": 1e-2, "heads": 1e-2}
    tiny["training"] |= {"max_steps": 5, "learning_rates": rates, "clip_norm": 1e9}
    tiny["mixture"] = {"tokens_per_batch": 400, "max_sentences": 32}
    whole, events = fit(tiny, "whole")
    (penalty,) = next(event for event in events if event["kind"] == "train")["penalties"].values()
    assert penalty > 0.01
    tiny["training"]["accumulation"] = 2
    tiny["mixture"] = {"tokens_per_batch": 200, "max_sentences": 16}
    halves, events = fit(tiny, "halves")
    (same,) = next(event for event in events if event["kind"] == "train")["penalties"].values()
    assert same == pytest.approx(penalty, rel=1e-5)
    for name, value in whole.items():
        torch.testing.assert_close(halves[name], value, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 2), (2, 2), (3, 1)])
def test_gradients_do_not_depend_on_processes_and_accumulation(tiny, processes, accumulation):
    without_dropout(tiny)
    made = ready(tiny)

    def gradients(processes, accumulation):
        shards = processes * accumulation
        mixture = {"tokens_per_batch": 600 // shards, "max_sentences": 24 // shards}
        spec = RecipeSpec.parse(tiny | {"mixture": mixture}, source="test").mixture
        model, tasks = made.model, {task.name: task for task in made.tasks}
        found = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
        seen = []
        for rank in range(processes):
            stream = BatchStream(
                Mixture(made.train, spec, seed=1, epochs=1),
                length=made.indexer.length,
                rank=rank,
                processes=processes,
                accumulation=accumulation,
            )
            step = next(iter(stream))
            model.zero_grad()
            for rows in step.micro_batches:
                batch = Collator(made.indexer, made.tasks)(rows)
                joint_loss(
                    model(batch.inputs, batch.targets),
                    weights=dict.fromkeys(tasks, 1.0),
                    words=labelled_words(tasks, step),
                    processes=processes,
                    micro_batches=accumulation,
                ).backward()
                seen += [row["id"] for _, row in rows]
            for name, parameter in model.named_parameters():
                found[name] += parameter.grad / processes  # as distributed training averages
        return found, sorted(seen)

    alone, rows = gradients(1, 1)
    shared, same_rows = gradients(processes, accumulation)
    assert rows == same_rows
    for name in alone:
        torch.testing.assert_close(shared[name], alone[name], rtol=1e-4, atol=1e-6, msg=name)


def test_patience_stops_early_and_keeps_the_first_of_equal_epochs(tiny, fit, tmp_path):
    tiny["training"] |= {"epochs": 10, "patience": 2, "learning_rates": {"encoder": 0.0, "heads": 0.0}}
    tiny["corpora"]["toy"]["sizes"]["train"] = 20
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    _, events = fit(tiny)
    assert [event["epoch"] for event in events if event["kind"] == "dev"] == [1, 2, 3]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["best_epoch"] == 1


def test_max_steps_ends_inside_an_epoch_with_an_evaluation(tiny, fit):
    tiny["training"] |= {"epochs": 10, "max_steps": 3}
    _, events = fit(tiny)
    assert steps_of(events, "train") == [3]
    assert steps_of(events, "dev") == [3]
    assert next(event for event in events if event["kind"] == "train")["lr"] == 0.0  # the schedule knew the end


def test_dev_is_scored_every_few_epochs_and_at_the_end(tiny, fit):
    tiny["corpora"]["toy"]["sizes"] = {"train": 10, "dev": 2}
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"] | {"unseen_labels": "allow"}}
    tiny["training"] |= {"epochs": 5, "evaluate_every": 2}
    _, events = fit(tiny)
    assert [event["epoch"] for event in events if event["kind"] == "dev"] == [2, 4, 5]


def test_without_dev_the_last_weights_are_kept(tiny, fit, tmp_path):
    tiny["corpora"]["toy"]["sizes"] = {"train": 10}
    _, events = fit(tiny)
    assert steps_of(events, "dev") == []
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"] == {}


def test_each_tasks_best_is_a_checkpoint_of_its_own(tiny, fit, tmp_path):
    tiny["training"] |= {"max_steps": 2, "save_best_per_task": True}
    mean_best, _ = fit(tiny)
    for task in tiny["tasks"]:
        folder = tmp_path / "run" / "best" / task
        weights = load_file(folder / "model.safetensors")
        assert all(torch.equal(weights[name], mean_best[name]) for name in weights)  # one evaluation: best of all
        assert (folder / "recipe.yaml").is_file()


def two_corpora(recipe, write_corpus, rows):
    """One corpus with parts of speech only, one with names only."""
    parts = [{"id": row["id"], "tokens": row["tokens"], "upos": row["upos"]} for row in rows[:12]]
    names = [{"id": row["id"], "tokens": row["tokens"], "ner_tags": row["ner_tags"]} for row in rows[12:24]]
    recipe["tasks"] = {name: recipe["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "ner")}
    recipe["corpora"] = {"parts": write_corpus("parts", train=parts), "names": write_corpus("names", train=names)}
    return recipe


def test_a_task_without_rows_does_not_move_whatever_the_decay(tiny, write_corpus, toy_rows, fit):
    two_corpora(tiny, write_corpus, toy_rows(24))
    tiny["mixture"]["rates"] = {"kind": "weights", "weights": {"parts": 1.0, "names": 0.0}}
    tiny["training"]["weight_decay"] = 0.5
    before = ready(tiny).model.state_dict()
    after, _ = fit(tiny)
    assert all(torch.equal(before[name], after[name]) for name in after if name.startswith("heads.ner."))
    assert not torch.equal(before["heads.upos.scorer.outer.weight"], after["heads.upos.scorer.outer.weight"])


def test_a_task_without_rows_in_a_step_keeps_parameters_and_moments(tiny, write_corpus, toy_rows):
    made = ready(two_corpora(tiny, write_corpus, toy_rows(24)))
    tasks = {task.name: task for task in made.tasks}
    optimizer = build_optimizer(made.model, TrainingSpec(weight_decay=0.5))
    collate = Collator(made.indexer, made.tasks)

    def take(corpora):
        rows = [(name, row) for name in corpora for row in made.train[name].rows]
        words = labelled_words(tasks, Step(rows, [rows]))
        batch = collate(rows)
        losses = made.model(batch.inputs, batch.targets)
        joint_loss(losses, weights=dict.fromkeys(tasks, 1.0), words=words, processes=1, micro_batches=1).backward()
        assert all(parameter.grad is not None for parameter in made.model.parameters())  # DDP waits for every one
        rest_absent_tasks(made.model, words)
        optimizer.step()
        optimizer.zero_grad()

    def snapshot(task):
        parameters = list(made.model.heads[task].parameters())
        state = [optimizer.state[parameter] for parameter in parameters]
        return [part.detach().clone() for p, s in zip(parameters, state, strict=True) for part in (p, *s.values())]

    take(["parts", "names"])
    ner, upos = snapshot("ner"), snapshot("upos")
    take(["parts"])
    assert all(torch.equal(old, new) for old, new in zip(ner, snapshot("ner"), strict=True))
    assert not any(torch.equal(old, new) for old, new in zip(upos, snapshot("upos"), strict=True))


def test_a_loss_that_is_not_finite_stops_the_run(tiny, fit):
    tiny["training"] |= {"learning_rates": {"encoder": 1e30, "heads": 1e30}, "warmup": 0.0, "max_steps": 6}
    with pytest.raises(TrainingError, match=r"the loss of task '\w+' is (nan|inf).*learning_rates"):
        fit(tiny)


def test_a_run_that_diverges_by_its_penalty_names_it(tiny, fit):
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    tiny["sharing"] = {"kind": "sluice", "tower": {"kind": "bilstm", "width": 8}, "orthogonality": 1e39}
    tiny["training"] |= {"max_steps": 1}
    with pytest.raises(TrainingError, match=r"^the penalty 'orthogonality' \(sharing\.orthogonality\) is inf in step"):
        fit(tiny)


def test_penalties_are_in_the_history_and_nothing_is_where_there_are_none(tiny, fit):
    tiny["training"] |= {"max_steps": 1}
    _, events = fit(tiny)
    assert all("penalties" not in event for event in events)
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    tiny["sharing"] = {"kind": "soft", "tower": {"kind": "bilstm", "width": 8}, "weight": 0.5}
    tiny["training"] |= {"max_steps": 2, "learning_rates": {"encoder": 0.1, "heads": 0.1}, "warmup": 0.0}
    _, events = fit(tiny)
    (trained,) = (event for event in events if event["kind"] == "train")
    assert list(trained["penalties"]) == ["distance"]
    assert trained["penalties"]["distance"] > 0.0  # the towers start equal and part with the first step


def test_a_streamed_corpus_trains(tiny, toy_rows, stream_of, fit):
    tiny["corpora"] = {"s": stream_of(toy_rows(20), "upos")}
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"]}
    tiny["mixture"] |= {"rates": {"kind": "uniform"}, "rows_per_epoch": 15}
    with pytest.raises(ConfigError, match=r"training\.max_steps: corpus 's' is streamed"):
        fit(tiny)
    tiny["training"] |= {"epochs": 1, "max_steps": 7}
    weights, events = fit(tiny)
    assert steps_of(events, "train") == [7]  # whatever the number of epochs
    assert next(event for event in events if event["kind"] == "train")["lr"] == 0.0
    drawn = [event["rows"]["s"] for event in events if event["kind"] == "mixture"]
    assert len(drawn) > 1
    assert drawn[0] == 15
    assert all(value.isfinite().all() for value in weights.values())
    losses = [event["losses"]["upos"] for event in events if event["kind"] == "train"]
    assert all(loss > 0 for loss in losses)


def test_tensorboard_gets_losses_and_scores(tiny, fit, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tiny["training"] |= {"max_steps": 2, "trackers": ["tensorboard"]}
    fit(tiny)
    [file] = (tmp_path / "run").rglob("events.out.tfevents.*")
    log = EventAccumulator(str(file.parent))
    log.Reload()
    tags = set(log.Tags()["scalars"])
    assert {f"loss/{task}" for task in tiny["tasks"]} | {f"dev/{task}" for task in tiny["tasks"]} <= tags


@pytest.mark.usefixtures("another_precision")
def test_bf16_trains_and_keeps_fp32_weights(tiny, fit):
    tiny["training"] |= {"max_steps": 2, "precision": "bf16"}
    weights, _ = fit(tiny)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values())


def test_a_tiny_transformer_with_windows_trains_on_difficult_sentences(tiny, tiny_encoder, write_corpus, toy_rows, fit):
    odd = [["\u200b", "zero", "\u200d"], [], ["😀👩‍👩‍👧", "שלום", "مرحبا"], ["word"] * 200]
    rows = [{"id": f"odd{n}", "tokens": tokens, "upos": ["X"] * len(tokens)} for n, tokens in enumerate(odd)]
    for row in rows:
        frames = [{"predicate": 0, "sense": "x", "tags": ["B-V", *["O"] * (len(row["tokens"]) - 1)]}]
        row |= {"srl_frames": frames if row["tokens"] else [], "chunk_tags": ["O"] * len(row["tokens"])}
        row |= {"ner_tags": ["O"] * len(row["tokens"])}
    everything = [*toy_rows(6), *rows]
    tiny["corpora"] = {"odd": write_corpus("odd", train=everything, dev=everything, test=rows)}
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    weights, _ = fit(tiny)
    assert all(value.isfinite().all() for value in weights.values())


def test_a_bilstm_trains_on_difficult_sentences(tiny, write_corpus, toy_rows, fit):
    odd = [["\u200b", "zero", "\u200d"], [], ["😀👩‍👩‍👧", "שלום", "مرحبا"], ["word"] * 5000]
    rows = [{"id": f"odd{n}", "tokens": tokens, "upos": ["X"] * len(tokens)} for n, tokens in enumerate(odd)]
    for row in rows:
        row["chunk_tags"] = ["O"] * len(row["tokens"])
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "chunk")}
    tiny["corpora"] = {"odd": write_corpus("odd", train=[*toy_rows(6), *rows], dev=rows)}
    weights, _ = fit(tiny)
    assert all(value.isfinite().all() for value in weights.values())


def test_words_are_counted_once_per_frame_in_the_whole_step(tiny):
    made = ready(tiny)
    tasks = {task.name: task for task in made.tasks}
    drawn = [("toy", row) for row in made.train["toy"].rows[:5]]
    whole = labelled_words(tasks, Step(drawn, []))
    words = sum(len(row["tokens"]) for _, row in drawn)
    roles = sum(len(row["tokens"]) * len(row["srl_frames"]) for _, row in drawn)
    assert whole == {"upos": words, "chunk": words, "ner": words, "predicate": words, "srl": roles}


@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1), min_size=1))
def test_the_mean_over_corpora_is_over_those_that_carry_the_task(values):
    scores = {corpus: {"upos": TaskScore("accuracy", {"accuracy": value}, {})} for corpus, value in values.items()}
    scores["other"] = {"ner": TaskScore("f1", {"f1": 0.25}, {})}
    found = mean_over_corpora(scores)
    assert found == {"upos": pytest.approx(sum(values.values()) / len(values)), "ner": 0.25}


def test_the_history_says_what_was_mixed_and_where_the_stream_stands(tiny, write_corpus, toy_rows, fit):
    rows = toy_rows(24)
    two_corpora(tiny, write_corpus, rows)
    tiny["corpora"]["names"]["splits"]["dev"] = "train.jsonl"
    tiny["mixture"] = {"max_sentences": 5}
    tiny["training"] |= {"epochs": 3, "max_steps": 7}  # two epochs of 24 rows, five by five at most, and two steps
    _, events = fit(tiny)
    mixed = [event for event in events if event["kind"] == "mixture"]
    words = {"upos": sum(len(row["tokens"]) for row in rows[:12]), "ner": sum(len(row["tokens"]) for row in rows[12:])}
    assert mixed[0]["rows"] == {"parts": 12, "names": 12}
    assert mixed[0]["asked"] == {"parts": 0.5, "names": 0.5}
    assert mixed[0]["words"] == words
    dev = [event for event in events if event["kind"] == "dev"]
    assert [event["step"] for event in mixed] == [event["step"] for event in dev]
    assert dev[0]["stream"] == {"epoch": 1, "step": 0}
    last = dev[-1]["stream"]
    assert last["step"] == 7 - dev[-2]["step"]
    assert 0 < sum(mixed[-1]["rows"].values()) <= 5 * last["step"]  # what was taken, not what the epoch holds


def test_a_bar_counts_the_steps_of_its_own_epoch(tiny, tmp_path, monkeypatch):
    bars = []

    def watch(console, title, *, total):
        bars.append((title, total))
        return progress.watch(console, title, total=total)

    monkeypatch.setattr(loop, "watch", watch)
    tiny["training"]["epochs"] = 2
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=Console(quiet=True))
    events = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    first, second = steps_of(events, "dev")
    found = [bar for bar in bars if bar[0].startswith("epoch")]
    assert found == [("epoch 1/2", first), ("epoch 2/2", second - first)]


def test_another_run_in_the_folder_leaves_nothing_of_the_first(tiny, tiny_encoder, fit, tmp_path):
    bilstm = copy.deepcopy(tiny["encoder"])
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    tiny["training"] |= {"max_steps": 1, "save_best_per_task": True}
    fit(tiny)
    (tmp_path / "run" / "scores-dev.json").write_text("{}")
    tiny["encoder"] = bilstm
    tiny["training"]["save_best_per_task"] = False
    fit(tiny)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "config.json",
        "history.jsonl",
        "metrics.json",
        "model.safetensors",
        "recipe.yaml",
        "training.png",
        "vocabulary.json",
    }


def test_a_recipe_that_cannot_train_leaves_a_former_run_alone(tiny, fit, tmp_path, monkeypatch):
    tiny["training"]["max_steps"] = 1
    fit(tiny)
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    bad = copy.deepcopy(tiny)
    bad["mixture"]["rates"] = {"kind": "weights", "weights": {"toyy": 1.0}}
    with pytest.raises(ConfigError, match=r"mixture\.rates\.weights"):
        fit(bad)

    def unknown_family(model, spec):
        raise EncoderError("no layers")

    monkeypatch.setattr(learner, "build_optimizer", unknown_family)
    with pytest.raises(EncoderError):
        fit(tiny)
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize(("max_steps", "logged"), [(3, [0, 2, 3]), (4, [0, 2, 4])])
def test_what_the_tasks_share_is_logged_at_the_start_every_n_steps_and_at_the_end(
    tiny, fit, tmp_path, max_steps, logged
):
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    tiny["sharing"] = {"kind": "cross_stitch", "tower": {"kind": "bilstm", "width": 8}, "same_task": 0.75}
    tiny["training"] |= {"max_steps": max_steps, "log_coupling_every": 2}
    _, events = fit(tiny)
    assert steps_of(events, "coupling") == logged
    tables = [event["tables"] for event in events if event["kind"] == "coupling"]
    names = ["upos", "ner"]
    assert tables[0] == {"alpha 1": {"rows": names, "columns": names, "values": [[0.75, 0.25], [0.25, 0.75]]}}
    assert tables[1] != tables[0]
    model, _ = load_checkpoint(tmp_path / "run")
    assert tables[-1] == coupling_to_json(model.sharing.coupling())


@pytest.mark.parametrize(
    ("sharing", "logged"),
    [
        ({"kind": "conditioning"}, [0, 3]),
        ({"kind": "soft", "tower": {"kind": "bilstm", "width": 8}}, [0, 1, 2, 3]),
        ({"kind": "sluice", "tower": {"kind": "bilstm", "width": 8}}, [0, 1, 2, 3]),
    ],
    ids=["film", "distance", "alpha and beta"],
)
def test_only_of_alpha_beta_and_distance_is_there_a_course(tiny, fit, sharing, logged):
    tiny["tasks"] = {name: tiny["tasks"][name] for name in ("upos", "ner")}
    tiny["sharing"] = sharing
    tiny["training"] |= {"max_steps": 3, "log_coupling_every": 1}
    _, events = fit(tiny)
    assert steps_of(events, "coupling") == logged
    tables = [set(event["tables"]) for event in events if event["kind"] == "coupling"]
    assert all(names == tables[0] for names in tables)


def test_a_scheme_that_learns_nothing_about_its_tasks_logs_no_coupling(tiny, fit):
    tiny["training"] |= {"max_steps": 2, "log_coupling_every": 1}
    _, events = fit(tiny)
    assert steps_of(events, "coupling") == []
