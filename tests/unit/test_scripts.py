"""The programs in scripts/ run as a person starts them."""

import io
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from launching import run, torchrun
from safetensors.torch import load_file

from seqmtl.evaluation import scores_from_json
from seqmtl.training import evaluate_checkpoint

SCRIPTS = Path(__file__).parents[2] / "scripts"
SHORT = ["train", "evaluate", "predict", "push_to_hub"]


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script in this process; return its exit code, standard output and standard error."""

    def run(name, *arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.mark.parametrize("name", SHORT)
def test_a_script_is_short_and_uses_public_names_only(name):
    lines = (SCRIPTS / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 40
    assert not [line for line in lines if line.startswith(("from seqmtl.", "import seqmtl."))]


def test_train_writes_a_run(script, tiny, write_recipe, tmp_path):
    code, shown, errors = script(
        "train", write_recipe(tiny), "--out", tmp_path / "run", "--set", "training.max_steps=1"
    )
    assert (code, errors) == (0, "")
    assert "toy test" in shown
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_evaluate_prints_the_scores_of_training(script, tiny_run):
    code, shown, errors = script("evaluate", tiny_run)
    assert (code, errors) == (0, "")
    trained = scores_from_json(json.loads((tiny_run / "metrics.json").read_text())["test"]["toy"])
    expected = [["toy", task, score.main, f"{score.main_value:.4f}"] for task, score in trained.items()]
    assert [line.split("\t") for line in shown.splitlines()] == expected


def test_predict_tags_lines(script, tiny_run):
    code, shown, errors = script("predict", tiny_run, stdin="Anna gave Bob the book. She slept in Paris.\n\n")
    assert (code, errors) == (0, "")
    assert [line for line in shown.splitlines() if not line.startswith(" ")] == [
        "Anna gave Bob the book.",
        "She slept in Paris.",
    ]
    assert "\n  chunk\t0\t" in shown


def test_push_to_hub_publishes_a_run(script, tiny_run, hub):
    code, shown, errors = script("push_to_hub", tiny_run, "me/tagger", "--private")
    assert (code, errors) == (0, "")
    assert shown == f"{hub.url}/me/tagger/commit/{hub.repositories['me/tagger'].branches['main']}\n"
    assert hub.repositories["me/tagger"].private
    assert {"README.md", "config.json", "model.safetensors", "recipe.yaml"} < set(hub.files("me/tagger"))


@pytest.mark.parametrize(("name", "more"), [("evaluate", []), ("predict", []), ("push_to_hub", ["me/tagger"])])
def test_a_folder_that_is_no_run_is_one_line(script, tmp_path, name, more):
    code, shown, errors = script(name, tmp_path, *more)
    assert (code, shown) == (2, "")
    assert re.fullmatch(r"error: .*not a checkpoint.*\n", errors)


def test_train_refuses_a_bad_recipe_in_one_line_and_calls_a_run_after_its_recipe(
    script, tiny, write_recipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, shown, errors = script("train", "quickstrat")
    assert (code, shown) == (2, "")
    assert re.fullmatch(r"error: .*did you mean 'quickstart'.*\n", errors)
    assert script("train", write_recipe(tiny), "--set", "training.max_steps=1")[0] == 0
    assert (tmp_path / "runs" / "tiny" / "metrics.json").is_file()


ACCELERATE = str(Path(sys.executable).parent / "accelerate")


@pytest.mark.slow
def test_the_quickstart_trains_by_the_accelerate_line_that_the_script_shows(tmp_path):
    short = [
        "--set",
        "corpora.toy.sizes={train: 400, dev: 20, test: 20}",
        "--set",
        "training={epochs: 1, max_steps: 3}",
        *(part for task in ("chunk", "ner", "srl") for part in ("--set", f"tasks.{task}.unseen_labels=allow")),
    ]
    line = "accelerate launch --cpu --num_processes 2 scripts/train.py quickstart"
    assert line in (SCRIPTS / "train.py").read_text()
    (tmp_path / "scripts").symlink_to(SCRIPTS)
    done = run([ACCELERATE, *line.split()[1:], *short], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "quickstart" / "metrics.json").is_file()


def launch(recipe, out, *arguments, processes=2):
    return run([*torchrun(processes), str(SCRIPTS / "train.py"), str(recipe), "--out", str(out), *arguments])


@pytest.mark.slow
def test_two_processes_train_and_score_as_one_process_scores_their_checkpoint(tiny, write_recipe, tmp_path):
    tiny["corpora"]["toy"]["sizes"]["test"] = 300  # enough for each process to score a batch
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    done = launch(write_recipe(tiny), tmp_path / "run", "--set", "training.epochs=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("toy test") == 1  # one process speaks
    assert not set("\r\x1b") & set(done.stdout)
    assert "Loading weights" not in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["processes"] == 2
    trained = metrics["test"]["toy"]
    assert evaluate_checkpoint(tmp_path / "run")["toy"].scores == scores_from_json(trained)


@pytest.mark.slow
def test_two_processes_train_corpora_with_disjoint_layers(tiny, write_corpus, toy_rows, write_recipe, tmp_path):
    rows = toy_rows(30)
    layers = {"parts": ["upos"], "names": ["ner_tags"], "roles": ["srl_frames"]}
    tiny["corpora"] = {
        corpus: write_corpus(
            corpus,
            train=[{key: row[key] for key in ("id", "tokens", *kept)} for row in rows[10 * n : 10 * n + 10]],
        )
        for n, (corpus, kept) in enumerate(layers.items())
    }
    del tiny["tasks"]["chunk"]
    tiny["sharing"] = {"kind": "independent", "tower": {"kind": "bilstm", "width": 16}}
    tiny["mixture"] = {"tokens_per_batch": 20, "max_sentences": 1}  # a process often has a row of one corpus only
    done = launch(write_recipe(tiny), tmp_path / "run", "--set", "training.epochs=2")
    assert done.returncode == 0, done.stderr
    assert "unused" not in done.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["processes"] == 2
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.slow
def test_two_processes_in_which_tasks_take_turns_learn_what_one_process_learns(tiny, write_recipe, tmp_path):
    tiny["encoder"] |= {"dropout": 0.0, "word_dropout": 0.0, "layers": 0}
    tiny["encoder"]["characters"]["dropout"] = 0.0
    for task in tiny["tasks"].values():
        task["head"]["dropout"] = 0.0
        task["unseen_labels"] = "allow"
    tower = {"kind": "bilstm", "width": 16, "dropout": 0.0}
    regularisation = {"delta": 0.5, "classifier_delta": 1.0}  # so strong that counting it twice would show
    tiny["sharing"] = {"kind": "jmt", "tower": tower, "label_dim": 8, "successive_regularisation": regularisation}
    tiny["corpora"]["toy"]["sizes"]["train"] = 17
    tiny["mixture"] = {"schedule": "sequential", "tokens_per_batch": 60}
    tiny["training"] |= {"epochs": 2, "learning_rates": dict.fromkeys(("encoder", "sharing", "heads"), 1e-3)}
    runs = {}
    for processes, mixture in ((2, {"max_sentences": 2}), (1, {"max_sentences": 4, "tokens_per_batch": 120})):
        tiny["mixture"] |= mixture
        out = tmp_path / f"{processes}"
        done = launch(write_recipe(tiny), out, processes=processes)
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "metrics.json").read_text())["processes"] == processes
        runs[processes] = load_file(out / "model.safetensors")
    for name, value in runs[1].items():
        torch.testing.assert_close(runs[2][name], value, rtol=0, atol=1e-4, msg=name)


@pytest.mark.slow
def test_two_processes_agree_on_decoders_and_learn_what_one_process_learns(tiny, write_recipe, tmp_path):
    tiny["encoder"] |= {"dropout": 0.0, "word_dropout": 0.0}
    tiny["encoder"]["characters"]["dropout"] = 0.0
    for task in tiny["tasks"].values():
        task["head"]["dropout"] = 0.0
        task["unseen_labels"] = "allow"
    tiny["pseudo_tasks"] = {"decoders": 3, "init": ["freeze"], "update": ["greedy", "perturb"], "every": 3}
    tiny["training"] |= {"epochs": 9, "max_steps": 7}
    runs, histories = {}, {}
    for processes, mixture in ((2, {"tokens_per_batch": 60}), (1, {"tokens_per_batch": 120})):
        out = tmp_path / f"{processes}"
        done = launch(write_recipe(tiny | {"mixture": mixture}), out, processes=processes)
        assert done.returncode == 0, done.stderr
        assert "unused" not in done.stderr
        assert json.loads((out / "metrics.json").read_text())["processes"] == processes
        runs[processes] = load_file(out / "model.safetensors")
        events = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        histories[processes] = [event for event in events if event["kind"] in ("meta_iteration", "best_decoders")]
    assert [event["step"] for event in histories[2]][:2] == [3, 6]
    assert [event["leaders"] for event in histories[2]] == [event["leaders"] for event in histories[1]]
    for name, value in runs[1].items():
        torch.testing.assert_close(runs[2][name], value, rtol=0, atol=1e-4, msg=name)
