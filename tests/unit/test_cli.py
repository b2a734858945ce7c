import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from seqmtl import cli
from seqmtl.documents import from_columns, from_json_line
from seqmtl.evaluation import scores_from_json

TEXT = "Anna gave Bob the book. She was tired!"


@pytest.fixture
def seqmtl(monkeypatch, capsys):
    """Run the command line in this process; return its exit code, standard output and standard error."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["seqmtl", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def refused(seqmtl, write_recipe, tmp_path):
    """Train a recipe that cannot be trained; return the message, which is no traceback and comes before training."""

    def run(recipe, *arguments):
        out = tmp_path / "run"
        code, shown, message = seqmtl("train", write_recipe(recipe), "--out", out, *arguments)
        assert code == 2
        assert shown == ""
        assert message.startswith("error: ")
        assert "Traceback" not in message
        assert not (out / "history.jsonl").exists()
        assert not (out / "config.json").exists()
        return message

    return run


# What a person types is a promise: whoever changes an option changes this table and the changelog.
OPTIONS = {
    "train": {"recipe": [], "out": ["--out"], "overrides": ["--set"], "resume": ["--resume"]},
    "evaluate": {
        "run": [],
        "corpus": ["--corpus"],
        "split": ["--split"],
        "labels": ["--labels", "--no-labels"],
        "output": ["--json"],
        "compare": ["--compare"],
        "errors": ["--errors"],
        "ensemble": ["--ensemble"],
        "device": ["--device"],
        "overrides": ["--set"],
    },
    "predict": {
        "run": [],
        "texts": [],
        "file": ["--file"],
        "form": ["--format"],
        "out": ["--out"],
        "ensemble": ["--ensemble"],
        "device": ["--device"],
    },
    "demo": {"run": [], "host": ["--host"], "port": ["--port"], "device": ["--device"]},
    "inspect": {"run": [], "folder": [], "plot": ["--plot"], "output": ["--json"], "text": ["--text"]},
    "prune": {
        "run": [],
        "threshold": ["--threshold"],
        "out": ["--out"],
        "split": ["--split"],
        "device": ["--device"],
        "overrides": ["--set"],
    },
    "push": {
        "run": [],
        "name": [],
        "private": ["--private"],
        "revision": ["--revision"],
        "licence": ["--licence"],
    },
    "schema": {},
}


def test_commands_and_options_stay_as_they_are():
    commands = typer.main.get_command(cli.app).commands
    found = {
        name: {
            parameter.name: [
                option for option in (*parameter.opts, *parameter.secondary_opts) if option.startswith("--")
            ]
            for parameter in command.params
        }
        for name, command in commands.items()
    }
    assert found == OPTIONS
    assert [p.required for p in commands["train"].params] == [True, False, False, False]
    assert [p.required for p in commands["prune"].params] == [True, True, True, False, False, False]


def test_help_names_every_command(seqmtl):
    code, shown, _ = seqmtl("--help")
    assert code == 0
    assert all(command in shown for command in OPTIONS)


def test_an_unknown_command_is_a_usage_error(seqmtl):
    code, _, message = seqmtl("tran")
    assert code == 2
    assert "tran" in message


def test_train_writes_a_run_and_shows_its_scores(seqmtl, tiny, write_recipe, tmp_path):
    path = write_recipe(tiny)
    code, shown, errors = seqmtl("train", path, "--out", tmp_path / "[run]", "--set", "training.max_steps=1")
    assert (code, errors) == (0, "")
    assert "toy test" in shown
    assert f"checkpoint, history and curves: {tmp_path}/[run]" in shown
    saved = yaml.safe_load((tmp_path / "[run]" / "recipe.yaml").read_text())
    assert saved["training"]["max_steps"] == 1


def test_a_run_is_called_after_its_recipe(seqmtl, tiny, write_recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, *_ = seqmtl("train", write_recipe(tiny), "--set", "training.max_steps=1", "--set", "name=mine")
    assert code == 0
    assert (tmp_path / "runs" / "mine" / "model.safetensors").is_file()


def test_evaluate_shows_tables_and_writes_the_scores_of_training(seqmtl, tiny_run, tmp_path):
    code, shown, errors = seqmtl("evaluate", tiny_run, "--json", tmp_path / "new" / "scores.json")
    assert (code, errors) == (0, "")
    for part in ("srl_f1_official", "end_to_end", "f1_strict", "chunk, label by label", "ARG0", "PROPN"):
        assert part in shown
    written = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert (written["run"], written["split"], set(written["corpora"])) == (str(tiny_run), "test", {"toy"})
    trained = json.loads((tiny_run / "metrics.json").read_text())["test"]["toy"]
    assert scores_from_json(written["corpora"]["toy"]["scores"]) == scores_from_json(trained)


def test_evaluate_shows_a_table_per_corpus(seqmtl, tiny, write_corpus, toy_rows, write_recipe, tmp_path):
    rows = toy_rows(8)
    tiny["corpora"] = {name: write_corpus(name, train=rows, test=rows[:3]) for name in ("one", "two")}
    assert seqmtl("train", write_recipe(tiny), "--out", tmp_path / "run", "--set", "training.max_steps=1")[0] == 0

    def titles(*more):
        _, shown, _ = seqmtl("evaluate", tmp_path / "run", "--no-labels", *more)
        return re.findall(r"run,\s+(one|two)\s+test", shown)  # broken where the path is long

    assert titles() == ["one", "two"]
    assert titles("--corpus", "two") == ["two"]


def test_scores_that_cannot_be_written_are_refused_before_the_work(seqmtl, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "scores.json", tmp_path):
        code, shown, message = seqmtl("evaluate", tmp_path / "no run", "--json", path)
        assert (code, shown) == (2, "")
        assert "cannot be written" in message


@pytest.mark.parametrize("command", ["evaluate", "predict", "demo"])
def test_a_device_that_is_not_there_is_refused(seqmtl, tiny_run, command):
    code, shown, message = seqmtl(command, tiny_run, "--device", "gpu")
    assert (code, shown) == (2, "")
    assert "device 'gpu': " in message


def test_evaluate_without_labels_and_on_another_split(seqmtl, tiny_run):
    code, shown, _ = seqmtl("evaluate", tiny_run, "--no-labels", "--split", "dev", "--corpus", "toy")
    assert code == 0
    assert "label by label" not in shown
    assert re.search(r"toy\s+dev", shown)


def test_evaluate_shows_the_first_sentences_with_a_mistake_beside_gold(seqmtl, tiny_run):
    code, shown, _ = seqmtl("evaluate", tiny_run, "--no-labels", "--errors", 1)
    assert code == 0
    assert shown.count("toy-test-") == 1
    assert "predicted" in shown
    assert "gold" in shown


def test_compare_shows_and_writes_differences_with_p_values(seqmtl, tiny_run, tmp_path):
    path = tmp_path / "scores.json"
    code, shown, _ = seqmtl("evaluate", tiny_run, "--no-labels", "--compare", tiny_run, "--json", path)
    assert code == 0
    written = json.loads(path.read_text())["corpora"]["toy"]["comparison"]
    assert written["against"] == str(tiny_run)
    assert {comparison["p_value"] for comparison in written["tasks"].values()} == {1.0}
    table = shown[shown.index("against") :]
    for column in ("Difference", "Low", "High", "p"):
        assert column in table
    assert table.count("1.000") == 5  # a task each, no difference


def test_runs_on_different_sentences_are_not_compared(seqmtl, tiny, write_corpus, toy_rows, write_recipe, tiny_run):
    rows = toy_rows(6)
    tiny["corpora"] = {"toy": write_corpus("c", train=rows, dev=rows, test=rows[:2])}
    other = write_recipe(tiny).parent / "other"
    seqmtl("train", write_recipe(tiny), "--out", other, "--set", "training.max_steps=1")
    code, _, message = seqmtl("evaluate", tiny_run, "--no-labels", "--compare", other)
    assert code == 2
    assert "scored on different sentences (16 and 2)" in message


def test_predict_shows_a_view(seqmtl, tiny_run):
    code, shown, errors = seqmtl("predict", tiny_run, TEXT)
    assert (code, errors) == (0, "")
    for part in ("Anna", "chunk", "ner", "srl"):
        assert part in shown
    assert "\x1b" not in shown  # no colours where there is no terminal


def test_predict_writes_a_json_line_per_text(seqmtl, tiny_run):
    code, shown, _ = seqmtl("predict", tiny_run, TEXT, "שלום 😀", "--format", "json")
    assert code == 0
    documents = [from_json_line(line) for line in shown.splitlines()]
    assert [document.text for document in documents] == [TEXT, "שלום 😀"]


def test_predict_writes_columns(seqmtl, tiny_run):
    code, shown, _ = seqmtl("predict", tiny_run, TEXT, "--format", "columns")
    assert code == 0
    [document] = from_columns(shown)
    assert [token.text for token in document.sentences[1].tokens] == ["She", "was", "tired", "!"]


def test_predict_writes_one_page_for_all_texts(seqmtl, tiny_run, tmp_path):
    code, shown, _ = seqmtl("predict", tiny_run, TEXT, "She slept.", "--format", "html")
    assert code == 0
    assert shown.startswith("<!DOCTYPE html>\n")
    assert shown.count("<article>") == 2
    assert shown.count('<section class="sentence">') == 3
    assert "<bdi>upos</bdi>" in shown
    path = tmp_path / "new" / "page.html"
    code, nothing, _ = seqmtl("predict", tiny_run, TEXT, "She slept.", "--format", "html", "--out", path)
    assert (code, nothing) == (0, "")
    assert path.read_text(encoding="utf-8") == shown


def test_predict_writes_two_files_of_brat_for_each_text(seqmtl, tiny_run, tmp_path):
    texts = ["Anna slept.\r\nBob ran.", TEXT]
    code, shown, _ = seqmtl("predict", tiny_run, *texts, "--format", "brat", "--out", tmp_path / "brat")
    assert (code, shown) == (0, "")
    assert {path.name for path in (tmp_path / "brat").iterdir()} == {"1.txt", "1.ann", "2.txt", "2.ann"}
    for number, text in enumerate(texts, start=1):
        assert (tmp_path / "brat" / f"{number}.txt").read_bytes() == text.encode()
        for line in (tmp_path / "brat" / f"{number}.ann").read_text(encoding="utf-8").splitlines():
            assert line[0] in "T#R"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--format", "brat"], "--format brat: writes two files for each text; name their folder: --out FOLDER"),
        (["--format", "json", "--out", "x"], "--out x: is for --format html and brat"),
        (["--format", "html", "--out", "/dev/null/x"], "--out /dev/null/x: cannot be written"),
        (["--format", "brat", "--out", "/dev/null/x"], "/dev/null/x: cannot be made a folder"),
    ],
)
def test_where_predictions_cannot_be_written_is_refused_before_the_work(seqmtl, tmp_path, options, complaint):
    code, shown, message = seqmtl("predict", tmp_path / "no checkpoint", TEXT, *options)
    assert (code, shown) == (2, "")
    assert complaint in message


def test_predict_reads_lines_of_the_standard_input(seqmtl, tiny_run):
    code, shown, _ = seqmtl("predict", tiny_run, "--format", "json", stdin="Anna slept.\n\nBob ran.\n")
    assert code == 0
    assert [json.loads(line)["text"] for line in shown.splitlines()] == ["Anna slept.", "", "Bob ran."]


def test_predict_reads_a_whole_file_with_its_line_ends(seqmtl, tiny_run, tmp_path):
    text = "Anna slept.\r\nBob ran.\r\n"
    (tmp_path / "in.txt").write_bytes(text.encode())
    code, shown, _ = seqmtl("predict", tiny_run, "--file", tmp_path / "in.txt", "--format", "json")
    assert code == 0
    assert json.loads(shown)["text"] == text


def test_a_file_that_is_no_text_is_refused(seqmtl, tiny_run, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"\xff\xfe")
    for name in ("in.txt", "none.txt"):
        code, _, message = seqmtl("predict", tiny_run, "--file", tmp_path / name)
        assert code == 2
        assert f"{name}: cannot be read as UTF-8 text" in message


def test_inspect_shows_parts_and_tasks_with_labels(seqmtl, tiny_run):
    code, shown, _ = seqmtl("inspect", tiny_run)
    assert code == 0
    for part in ("BiLSTMEncoder", "HardSharing", "heads.srl", "CRFHead", "B-ARG0", "srl_frames"):
        assert part in shown


def couplings(run):
    """What the tasks of a run shared, by its history, the start first."""
    events = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [event["tables"] for event in events if event["kind"] == "coupling"]


PICTURES = {f"coupling-{name}.png" for name in ("alpha", "alpha-course", "beta", "beta-course")}


def test_inspect_shows_what_the_tasks_share(seqmtl, sluice_run):
    code, shown, errors = seqmtl("inspect", sluice_run)
    assert (code, errors) == (0, "")
    for part in ("Sluice", "alpha 1", "alpha 2", "upos.1", "ner.2", "beta", "layer 2"):
        assert part in shown


def test_inspect_draws_into_the_run_or_into_another_folder(seqmtl, sluice_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(sluice_run, run)
    code, shown, errors = seqmtl("inspect", run, "--plot")
    assert (code, errors) == (0, "")
    assert {path.name for path in run.glob("*.png")} == PICTURES | {"training.png"}
    assert set(shown.splitlines()[-4:]) == {str(run / name) for name in PICTURES}
    (run / "history.jsonl").unlink()  # as in a checkpoint from the hub
    code, *_ = seqmtl("inspect", run, "--plot", tmp_path / "new" / "pictures")
    assert code == 0
    drawn = {path.name for path in (tmp_path / "new" / "pictures").iterdir()}
    assert drawn == {"coupling-alpha.png", "coupling-beta.png"}


def test_inspect_writes_numbers_with_which_another_run_starts(seqmtl, sluice_run, tmp_path):
    path = tmp_path / "new" / "alpha.json"
    assert seqmtl("inspect", sluice_run, "--json", path)[0] == 0
    written = json.loads(path.read_text())
    assert (written["run"], written["sharing"]) == (str(sluice_run), "sluice")
    assert written["tables"] == couplings(sluice_run)[-1]
    sets = ["sharing.alpha_from=../new/alpha.json", "training.max_steps=1"]
    (tmp_path / "recipes").mkdir()
    shutil.copy(sluice_run / "recipe.yaml", tmp_path / "recipes")
    out = tmp_path / "run"
    options = [part for key in sets for part in ("--set", key)]
    assert seqmtl("train", tmp_path / "recipes" / "recipe.yaml", "--out", out, *options)[0] == 0
    assert couplings(out)[0] == written["tables"]


def test_what_cannot_be_drawn_or_written_is_refused(seqmtl, tiny_run, sluice_run, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, complaint in [
        ((tiny_run, "--plot"), "sharing of kind 'hard' learns nothing about its tasks that could be drawn"),
        ((sluice_run, tmp_path), f"is for pictures; did you mean --plot {tmp_path}?"),
        ((sluice_run, "--plot", tmp_path / "file" / "pictures"), "cannot be made a folder"),
        ((sluice_run, "--json", tmp_path / "file" / "alpha.json"), "cannot be written"),
    ]:
        code, shown, message = seqmtl("inspect", *arguments)
        assert (code, shown) == (2, "")
        assert complaint in message


def test_inspect_shows_at_which_words_a_meta_lstm_changes(seqmtl, sluice_run, tmp_path):
    sets = ["sharing={kind: meta_lstm, width: 8, meta_size: 3, vector_size: 2}", "training.max_steps=1"]
    options = [part for key in sets for part in ("--set", key)]
    run = tmp_path / "run"
    assert seqmtl("train", sluice_run / "recipe.yaml", "--out", run, *options)[0] == 0
    text = "Ann slept. The old dog saw the dog"
    path, pictures = tmp_path / "words.json", tmp_path / "pictures"
    code, shown, errors = seqmtl("inspect", run, pictures, "--plot", "--json", path, "--text", text)
    assert (code, errors) == (0, "")
    for part in ("sentence 1", "1 Ann", "3 .", "6 dog", "upos", "ner"):
        assert part in shown
    tables = json.loads(path.read_text())["tables"]
    assert [len(table["rows"]) for table in tables.values()] == [3, 6]
    assert all(value > 0 for table in tables.values() for row in table["values"] for value in row)
    names = {f"coupling-sentence-{number}-generated-weights.png" for number in (1, 2)}
    assert {picture.name for picture in pictures.iterdir()} == names
    for folder, words, complaint in [
        (run, "  ", "there is no word in it"),
        (sluice_run, text, "sharing of kind 'sluice' does the same at all words"),
    ]:
        code, shown, message = seqmtl("inspect", folder, "--text", words)
        assert (code, shown) == (2, "")
        assert complaint in message


PTA = "pseudo_tasks={decoders: 3, init: [dropout], update: [hyperperturb], every: 2, keep_decoders: true}"


def test_a_run_with_pseudo_tasks_is_shown_drawn_and_tags_by_all_its_decoders(seqmtl, tiny, write_recipe, tmp_path):
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "chunk")}
    run, pictures = tmp_path / "run", tmp_path / "pictures"
    sets = [part for key in (PTA, "training.max_steps=5") for part in ("--set", key)]
    assert seqmtl("train", write_recipe(tiny), "--out", run, *sets)[0] == 0
    code, shown, errors = seqmtl("inspect", run, pictures, "--plot")
    assert (code, errors) == (0, "")
    for part in ("decoders over 2 meta-iterations", "dropout rate", "softmax, 3 decoders, best:", "crf, 3 decoders"):
        assert part in shown
    assert [path.name for path in pictures.iterdir()] == ["pseudo-tasks.png"]
    path = tmp_path / "scores.json"
    code, *_ = seqmtl("evaluate", run, "--ensemble", "--no-labels", "--json", path, "--compare", run)
    assert code == 0
    written = json.loads(path.read_text())["corpora"]["toy"]
    best = json.loads((run / "metrics.json").read_text())["test"]["toy"]
    assert scores_from_json(written["scores"]) != scores_from_json(best)
    difference = written["scores"]["upos"]["values"]["accuracy"] - best["upos"]["values"]["accuracy"]
    assert written["comparison"]["tasks"]["upos"]["delta"] == pytest.approx(difference)
    said = [seqmtl("predict", run, TEXT, "--format", "columns", *more) for more in ([], ["--ensemble"])]
    assert [code for code, *_ in said] == [0, 0]
    assert said[0][1] != said[1][1]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_without_kept_decoders_has_no_ensemble(seqmtl, tiny_run, command):
    code, shown, message = seqmtl(command, tiny_run, *([TEXT] if command == "predict" else []), "--ensemble")
    assert (code, shown) == (2, "")
    assert "train with pseudo_tasks.keep_decoders=true" in message


def test_a_run_starts_from_another_one(seqmtl, sluice_run, tmp_path):
    sets = [f"training.start_from={sluice_run}", "training.max_steps=1", "training.log_coupling_every=1"]
    options = [part for key in sets for part in ("--set", key)]
    out = tmp_path / "run"
    code, shown, _ = seqmtl("train", sluice_run / "recipe.yaml", "--out", out, *options)
    assert code == 0
    assert shown.startswith(f"start from {sluice_run}: ")
    assert " parameters taken over, 0 new\n" in shown
    ended, started = couplings(sluice_run), couplings(out)
    assert ended[-1] == started[0] != started[-1]


def test_prune_shows_what_it_costs_and_the_pruned_run_is_a_checkpoint(seqmtl, sluice_run, tmp_path):
    out = tmp_path / "pruned"
    code, shown, errors = seqmtl("prune", sluice_run, "--threshold", 0.5, "--out", out)
    assert (code, errors) == (0, "")
    for part in (
        "upos",
        "ner",
        "before",
        "after",
        "difference",
        "alphas removed: 24 of 32",
        "layers of towers dropped: 0",
    ):
        assert part in shown
    assert f"pruned checkpoint: {out}" in shown
    assert "·" in seqmtl("inspect", out)[1]
    path = tmp_path / "scores.json"
    assert seqmtl("evaluate", out, "--split", "dev", "--no-labels", "--json", path)[0] == 0
    scores = json.loads(path.read_text())["corpora"]["toy"]["scores"]
    assert scores_from_json(scores) == scores_from_json(json.loads((out / "metrics.json").read_text())["dev"]["toy"])


@pytest.mark.parametrize(
    ("threshold", "out", "complaint"),
    [(3, "pruned", "leaves task 'upos' nothing to read"), (0.5, "file/pruned", "cannot be made a folder")],
)
def test_what_cannot_be_pruned_is_refused(seqmtl, sluice_run, tmp_path, threshold, out, complaint):
    (tmp_path / "file").write_text("")
    code, shown, message = seqmtl("prune", sluice_run, "--threshold", threshold, "--out", tmp_path / out)
    assert (code, shown) == (2, "")
    assert complaint in message


def test_a_run_without_alphas_is_not_pruned(seqmtl, tiny_run, tmp_path):
    code, shown, message = seqmtl("prune", tiny_run, "--threshold", 0.1, "--out", tmp_path / "pruned")
    assert (code, shown) == (2, "")
    assert "sharing of kind 'hard' has no alphas; name a run" in message


def test_names_that_look_like_markup_are_shown_as_they_are(seqmtl, tiny, write_corpus, write_recipe, tmp_path):
    rows = [{"id": "1", "tokens": ["[red]", ":smile:"], "upos": ["[b]", ":x:"]}]
    tiny["corpora"] = {"[c]": write_corpus("c", train=rows, dev=rows, test=rows)}
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"]}
    path, run = write_recipe(tiny), tmp_path / "[run]"
    assert "[c] test" in seqmtl("train", path, "--out", run)[1]
    assert ":x: [b]" in seqmtl("inspect", run)[1]
    assert "[b]" in seqmtl("evaluate", run)[1]
    assert "[red]" in seqmtl("predict", run, "[red]")[1].replace(" ", "")


def test_schema_is_json_also_in_a_narrow_terminal(seqmtl, monkeypatch):
    code, shown, _ = seqmtl("schema")
    assert code == 0
    assert "encoder" in json.loads(shown)["properties"]


@pytest.mark.parametrize("command", ["evaluate", "predict", "inspect", "prune"])
def test_a_folder_that_is_no_checkpoint_is_refused(seqmtl, tmp_path, command):
    more = {"predict": ["text"], "prune": ["--threshold", 0.1, "--out", tmp_path / "pruned"]}
    code, shown, message = seqmtl(command, tmp_path, *more.get(command, []))
    assert (code, shown) == (2, "")
    assert "not a checkpoint: it has no config.json" in message


def test_push_publishes_and_the_other_commands_know_the_model_by_its_name(
    seqmtl, sluice_run, hub, tmp_path, monkeypatch
):
    code, shown, errors = seqmtl("push", sluice_run, "me/sluice", "--private", "--licence", "cc0-1.0")
    assert (code, errors) == (0, "")
    assert shown.startswith(f"me/sluice: {hub.url}/me/sluice/commit/")
    assert b"license: cc0-1.0" in hub.files("me/sluice")["README.md"]
    monkeypatch.chdir(tmp_path)
    for command, *more in (["predict", "Anna slept."], ["evaluate"], ["inspect"]):
        here, there = (seqmtl(command, run, *more) for run in (sluice_run, "me/sluice"))
        assert (here[0], there[0]) == (0, 0)
        assert there[1].split()[-20:] == here[1].split()[-20:]
    assert seqmtl("inspect", "me/sluice", "--plot")[0] == 0
    assert {file.name for file in tmp_path.glob("*.png")} == {"coupling-alpha.png", "coupling-beta.png"}
    assert not (tmp_path / "me").exists()


def test_a_model_that_the_hub_lacks_is_one_message(seqmtl, hub):
    code, shown, message = seqmtl("predict", "me/nothing", "Anna slept.")
    assert (code, shown) == (2, "")
    assert message.startswith("error: me/nothing: is no folder here, and the hub has no such model")
    hub.repositories.clear()
    code, shown, message = seqmtl("push", "nowhere/at/all", "me/nothing")
    assert (code, shown) == (2, "")
    assert "there is no such folder" in message


# Bad input, the list of issue 2.


def test_a_truncated_gz(tiny, refused, toy_rows, tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in toy_rows(30)).encode()
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(lines)[:-200])
    tiny["corpora"] = {"c": {"kind": "jsonl", "path": str(tmp_path), "splits": {"train": "train.jsonl.gz"}}}
    message = refused(tiny)
    assert re.search(r"train\.jsonl\.gz:\d+: the gzip file is broken", message)


def conll(recipe, tmp_path, text, **more):
    (tmp_path / "train.txt").write_text(text)
    recipe["tasks"] = {"ner": recipe["tasks"]["ner"]}
    recipe["corpora"] = {
        "c": {
            "kind": "conll",
            "path": str(tmp_path),
            "columns": {"tokens": 0, "ner_tags": 1},
            "splits": {"train": "train.txt"},
            **more,
        }
    }
    return recipe


def test_a_line_with_a_missing_column(tiny, refused, tmp_path):
    message = refused(conll(tiny, tmp_path, "Anna B-PER\nsaw O\nBob\n"))
    assert "train.txt:3: " in message


def test_a_tag_outside_the_scheme_is_an_error_or_repaired(tiny, refused, seqmtl, write_recipe, tmp_path):
    recipe = conll(tiny, tmp_path, "Anna I-PER\nsaw O\nBob B-PER\n", schemes={"ner_tags": "bio"})
    message = refused(recipe)
    assert "train.txt:1" in message
    assert "I-PER" in message
    assert "repair" in message  # the remedy
    code, *_ = seqmtl("train", write_recipe(recipe), "--out", tmp_path / "run", "--set", "corpora.c.policy=repair")
    assert code == 0
    tasks = json.loads((tmp_path / "run" / "config.json").read_text())["tasks"]
    assert tasks[0]["labels"] == ["O", "S-PER"]


def test_tokens_and_labels_of_different_length(tiny, refused, write_corpus, toy_rows):
    rows = toy_rows(3)
    rows[1]["upos"] = rows[1]["upos"][:-1]
    tiny["corpora"] = {"c": write_corpus("c", train=rows)}
    message = refused(tiny)
    assert rows[1]["id"] in message
    assert "upos" in message
    assert str(len(rows[1]["tokens"])) in message


def test_a_label_unseen_in_training(tiny, refused, write_corpus, toy_rows):
    rows = toy_rows(6)
    dev = [rows[0] | {"upos": ["NUON", *rows[0]["upos"][1:]]}]
    tiny["corpora"] = {"c": write_corpus("c", train=rows, dev=dev)}
    message = refused(tiny)
    assert "'NUON' (1 x); did you mean 'NOUN'?" in message


def test_an_unknown_recipe_key(tiny, refused):
    tiny["training"]["epoch"] = tiny["training"].pop("epochs")
    assert "training.epoch: unknown key; did you mean 'epochs'?" in refused(tiny)


@pytest.mark.parametrize("name", ["no-such-org/no-such-encoder", "/no/such/folder", "package:no_such_package/model"])
def test_an_encoder_that_does_not_exist(tiny, refused, name):
    tiny["encoder"] = {"kind": "transformer", "pretrained": name}
    message = refused(tiny)
    assert name in message
    assert "folder" in message  # what it may be


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_corpus(tiny, refused, tmp_path, content):
    assert "corpus 'c', split 'train': has no sentences" in refused(conll(tiny, tmp_path, content))


def test_a_task_whose_layer_no_corpus_carries(tiny, refused):
    tiny["tasks"]["upos"]["layer"] = "upso"
    assert "tasks.upos.layer: no corpus among toy carries 'upso'; did you mean 'upos'?" in refused(tiny)


def test_a_corpus_that_is_not_there(tiny, refused):
    tiny["corpora"] = {"c": {"kind": "jsonl", "path": "nowhere", "splits": {"train": "x.jsonl"}}}
    assert "there is no folder" in refused(tiny)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("training.epochs", "--set training.epochs: expected KEY.PATH=VALUE"),
        ("training.epochs=many", "training.epochs: got 'many'"),
        ("training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'?"),
        ("name.x=3", "name is 'tiny', which has no keys"),
    ],
)
def test_a_bad_override(tiny, refused, override, complaint):
    assert complaint in refused(tiny, "--set", override)


def test_a_missing_recipe(seqmtl, tmp_path):
    code, _, message = seqmtl("train", tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml: there is no such file" in message
    code, _, message = seqmtl("train", "quickstrat")
    assert code == 2
    assert "did you mean 'quickstart'?" in message


def test_a_loss_that_is_not_finite(seqmtl, tiny, write_recipe, tmp_path):
    tiny["training"] |= {"learning_rates": {"encoder": 1e30, "heads": 1e30}, "max_steps": 6}
    code, _, message = seqmtl("train", write_recipe(tiny), "--out", tmp_path / "run")
    assert code == 2
    assert "the loss of task" in message


@pytest.mark.slow
def test_a_pipe_gets_no_bars_no_colours_and_no_chatter(tiny, tiny_encoder, write_recipe, tmp_path):
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    command = [sys.executable, "-m", "seqmtl.cli"]
    environment = {key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [*command, "train", str(write_recipe(tiny)), "--out", str(tmp_path / "run"), "--set", "training.max_steps=1"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not set("\r\x1b") & set(done.stdout)
    done = subprocess.run([*command, "train", "nothing"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no file 'nothing' among the shipped recipes")
    assert Path(tmp_path / "run" / "tokenizer.json").is_file()
