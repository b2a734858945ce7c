import io
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from accelerate.utils import DistributedType
from rich.console import Console
from transformers import AutoModel

from seqmtl.checkpoints import load_checkpoint
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.evaluation import scores_from_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import compare_evaluations, evaluate_checkpoint, train_recipe
from seqmtl.training.launch import check_launch, check_trackers

FILES = {
    "config.json",
    "history.jsonl",
    "metrics.json",
    "model.safetensors",
    "recipe.yaml",
    "training.png",
    "vocabulary.json",
}


def saved_test_scores(run, corpus="toy"):
    metrics = json.loads((run / "metrics.json").read_text())
    return scores_from_json(metrics["test"][corpus])


def test_a_run_folder_holds_everything(tiny_run):
    assert {file.name for file in tiny_run.iterdir()} == FILES
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    assert set(metrics) == {"best_epoch", "best_epoch_per_task", "processes", "test"}
    assert set(metrics["best_epoch_per_task"]) == set(metrics["test"]["toy"])
    events = [json.loads(line) for line in (tiny_run / "history.jsonl").read_text().splitlines()]
    assert [event["epoch"] for event in events if event["kind"] == "dev"] == [6, 12]


def test_training_learned_something(tiny_run):
    losses = [json.loads(line) for line in (tiny_run / "history.jsonl").read_text().splitlines()]
    train = [event["losses"] for event in losses if event["kind"] == "train"]
    assert all(train[-1][task] < train[0][task] for task in train[0])
    scores = saved_test_scores(tiny_run)
    assert scores["upos"].main_value > 0.5


def test_the_saved_recipe_is_complete_and_loads_again(tiny_run):
    saved = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    assert saved["training"]["epochs"] == 12  # the override is in it
    assert saved["training"]["weight_decay"] == 0.01  # and so are the defaults
    assert RecipeSpec.parse(saved, source="saved").model_dump(mode="json") == saved


def test_a_saved_transformer_run_carries_its_tokenizer(tiny, tiny_encoder, tmp_path, quiet):
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    tiny["training"]["max_steps"] = 2
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=quiet)
    assert {"tokenizer.json", "tokenizer_config.json"} <= {file.name for file in (tmp_path / "run").iterdir()}
    found = evaluate_checkpoint(tmp_path / "run")["toy"]
    assert found.scores == saved_test_scores(tmp_path / "run")


def test_evaluation_gives_the_scores_that_training_wrote(tiny_run):
    assert evaluate_checkpoint(tiny_run)["toy"].scores == saved_test_scores(tiny_run)


def test_a_moved_run_is_evaluated_all_the_same(tiny, write_corpus, toy_rows, tmp_path, quiet, monkeypatch):
    rows = toy_rows(12)
    corpus = write_corpus("c", train=rows, dev=rows, test=rows[:5])
    tiny["corpora"] = {"c": corpus | {"path": "c"}}  # relative to the recipe
    tiny["training"]["max_steps"] = 2
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", folder=tmp_path, console=quiet)
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    shutil.move(tmp_path / "run", moved)
    monkeypatch.chdir(moved.parent)
    before = evaluate_checkpoint(moved)["c"]
    assert before.scores == saved_test_scores(moved, "c")
    shutil.move(tmp_path / "c", tmp_path / "new place")
    found = evaluate_checkpoint("moved", overrides=[f"corpora.c.path={tmp_path / 'new place'}"])["c"]
    assert found.scores == before.scores


def test_other_corpora_of_the_recipe_need_not_be_there(tiny, write_corpus, toy_rows, tmp_path, quiet):
    rows = toy_rows(12)
    tiny["corpora"] = {"a": write_corpus("a", train=rows, dev=rows), "b": write_corpus("b", train=rows)}
    tiny["training"]["max_steps"] = 1
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=quiet)
    shutil.rmtree(tmp_path / "b")
    found = evaluate_checkpoint(tmp_path / "run", split="dev")
    assert set(found) == {"a"}
    assert set(found["a"].scores) == set(tiny["tasks"])


def test_all_corpora_that_have_the_split_and_a_layer_are_scored_unless_the_recipe_names_some(
    tiny, write_corpus, toy_rows, tmp_path, quiet
):
    rows = toy_rows(12)
    bare = [{"id": row["id"], "tokens": row["tokens"]} for row in rows]
    tiny["corpora"] = {
        "a": write_corpus("a", train=rows, dev=rows),
        "b": write_corpus("b", train=rows, dev=rows[:4]),
        "c": write_corpus("c", train=rows),
        "bare": write_corpus("bare", dev=bare),
    }
    tiny["training"]["max_steps"] = 1
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=quiet)
    found = evaluate_checkpoint(tmp_path / "run", split="dev")
    assert {name: (len(evaluation.rows), evaluation.corpus) for name, evaluation in found.items()} == {
        "a": (12, "a"),
        "b": (4, "b"),
    }
    assert set(evaluate_checkpoint(tmp_path / "run", split="dev", overrides=["evaluate_on=[b]"])) == {"b"}
    assert set(evaluate_checkpoint(tmp_path / "run", split="dev", corpus="a", overrides=["evaluate_on=[b]"])) == {"a"}
    with pytest.raises(ConfigError, match=r"'dev' has nothing to score.*upos"):
        evaluate_checkpoint(tmp_path / "run", split="dev", corpus="bare")
    with pytest.raises(ConfigError, match=r"no split 'test'"):
        evaluate_checkpoint(tmp_path / "run")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(tiny_run, device):
    with pytest.raises(ConfigError, match=rf"device '{device}': .*; use cpu"):
        evaluate_checkpoint(tiny_run, device=device)


def test_an_unknown_corpus_or_split_is_named_with_the_nearest(tiny_run):
    with pytest.raises(ConfigError, match=r"no corpus 'toyy'.*'toy'"):
        evaluate_checkpoint(tiny_run, corpus="toyy")
    with pytest.raises(ConfigError, match=r"no split 'tset'.*'test'"):
        evaluate_checkpoint(tiny_run, split="tset")


def test_a_folder_that_is_no_run_is_refused(tmp_path, tiny_run):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        evaluate_checkpoint(tmp_path)
    bare = tmp_path / "bare"
    shutil.copytree(tiny_run, bare)
    (bare / "recipe.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"has no recipe\.yaml"):
        evaluate_checkpoint(bare)


def test_a_run_folder_that_cannot_be_made_is_refused_before_training(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made a folder"):
        train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "file" / "run")


def test_a_missing_tracker_is_an_error_and_not_silence():
    check_trackers(["json"])  # any installed module
    with pytest.raises(ConfigError, match=r"training\.trackers: 'no_such_tracker' is not installed"):
        check_trackers(["no_such_tracker"])


def test_a_run_against_itself_has_no_difference(tiny_run):
    found = evaluate_checkpoint(tiny_run)["toy"]
    table = compare_evaluations(found, found)
    assert set(table) == set(found.scores)
    assert all(comparison.delta == 0 and comparison.p_value == 1 for comparison in table.values())


def test_runs_on_different_sentences_are_not_compared(tiny_run):
    ours = evaluate_checkpoint(tiny_run)["toy"]
    theirs = evaluate_checkpoint(tiny_run, split="dev")["toy"]
    with pytest.raises(ConfigError, match=r"different sentences \(16 and 16\)"):
        compare_evaluations(ours, theirs)


@pytest.mark.slow
def test_a_fresh_process_loads_a_run_offline(tiny_run):
    code = (
        "import sys, torch; from seqmtl import SeqMTLModel; "
        "model = SeqMTLModel.from_pretrained(sys.argv[1], local_files_only=True); "
        "print(sum(float(p.detach().double().sum()) for p in model.parameters()))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tiny_run / "nothing here")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_run)], env=environment, capture_output=True, text=True, check=True
    )
    model, _ = load_checkpoint(tiny_run)
    assert float(done.stdout) == sum(float(p.detach().double().sum()) for p in model.parameters())


def test_auto_model_knows_a_run(tiny_run):
    ours, _ = load_checkpoint(tiny_run)
    theirs = AutoModel.from_pretrained(tiny_run)
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


def test_tables_of_draws_dev_and_test_are_printed(tiny, tmp_path):
    tiny["training"]["max_steps"] = 1
    shown = io.StringIO()
    train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path / "run", console=Console(width=100, file=shown))
    for part in ("epoch 1 drew", "toy dev, epoch 1", "toy test", "srl_f1_official"):
        assert part in shown.getvalue()


def test_a_run_that_another_library_would_take_over_is_refused():
    for kind in (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP):
        check_launch(kind)
    for kind in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        with pytest.raises(ConfigError, match=f"launched with {kind.value}.*MULTI_GPU"):
            check_launch(kind)
