"""From a run to the hub and back, and what is not to go there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from loopback_hub import TOKEN
from transformers import AutoTokenizer

from seqmtl import SeqMTLModel, Tagger, push_to_hub
from seqmtl.checkpoints import load_checkpoint, load_recipe_of, save_metrics, save_recipe
from seqmtl.errors import CheckpointError, DataError, HubError
from seqmtl.evaluation import scores_from_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import evaluate_checkpoint, train_recipe

NAME = "me/tagger"
TEXT = "Anna gave Bob the book. She slept in Paris."


@pytest.fixture
def private_run(tiny, write_corpus, toy_rows, tiny_encoder, tmp_path, quiet) -> Path:
    """A run that knows as many places of this machine as a run can: encoder, corpus, what it started from."""
    rows = toy_rows(30)
    tiny["corpora"] = {"own": write_corpus("secret", train=rows[:20], dev=rows[20:], test=rows[20:])}
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "ner")}
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 4}
    tiny["sharing"] = {"kind": "sluice", "tower": {"kind": "bilstm", "layers": 2, "width": 8}}
    tiny["training"] |= {"max_steps": 1}
    run = tmp_path / "run"
    train_recipe(RecipeSpec.parse(tiny, source="test"), run, console=quiet)
    recipe, _ = load_recipe_of(
        run, overrides=[f"training.start_from={tmp_path}/first", f"sharing.alpha_from={tmp_path}/alpha.json"]
    )
    save_recipe(run, recipe)
    metrics = json.loads((run / "metrics.json").read_text())
    save_metrics(run, metrics | {"pruned": {"run": f"{tmp_path}/second", "threshold": 0.1}})
    return run


def test_a_run_goes_to_the_hub_and_comes_back(hub, tiny_run):
    url = push_to_hub(tiny_run, NAME, message="the first")
    files = hub.files(NAME)
    assert url.startswith(f"{hub.url}/{NAME}/commit/")
    assert hub.repositories[NAME].messages[-1] == "the first"
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "metrics.json",
        "model.safetensors",
        "recipe.yaml",
        "training.png",
        "vocabulary.json",
    }
    assert files["model.safetensors"] == (tiny_run / "model.safetensors").read_bytes()
    assert json.loads(files["metrics.json"]) == json.loads((tiny_run / "metrics.json").read_text())
    assert json.loads(files["config.json"]) == json.loads((tiny_run / "config.json").read_text())
    assert Tagger.from_pretrained(NAME)(TEXT) == Tagger.from_pretrained(tiny_run)(TEXT)
    assert evaluate_checkpoint(NAME)["toy"].scores == evaluate_checkpoint(tiny_run)["toy"].scores


def test_nothing_that_is_published_says_where_a_file_lies_here(hub, private_run, tiny_encoder, tmp_path):
    kept = [file.read_text() for file in private_run.iterdir() if file.suffix in (".yaml", ".json")]
    for place in (tmp_path, tiny_encoder):  # so this test can fail
        assert any(str(place) in text for text in kept)
    push_to_hub(private_run, NAME)
    for name, content in hub.files(NAME).items():
        for place in (tmp_path, tiny_encoder.parent, Path.home(), Path.cwd()):
            assert str(place).encode() not in content, f"{name}: {place}"
    recipe, _ = load_recipe_of(Path(Tagger.from_pretrained(NAME).model.name_or_path))
    assert (recipe.corpora["own"].path, recipe.encoder.pretrained) == ("own", tiny_encoder.name)
    assert (recipe.training.start_from, recipe.sharing.alpha_from) == ("first", "alpha.json")
    assert json.loads(hub.files(NAME)["metrics.json"])["pruned"]["run"] == "second"


def test_a_checkpoint_of_an_encoder_of_this_machine_works_elsewhere(hub, private_run, tiny_encoder, tmp_path):
    expected = Tagger.from_pretrained(private_run)(TEXT)
    push_to_hub(private_run, NAME)
    private_run.rename(tmp_path / "gone")
    tiny_encoder.rename(tiny_encoder.with_name("gone"))
    try:
        assert Tagger.from_pretrained(NAME)(TEXT) == expected
        assert AutoTokenizer.from_pretrained(NAME)("Anna").input_ids
    finally:
        tiny_encoder.with_name("gone").rename(tiny_encoder)


def test_what_tasks_share_is_drawn_for_the_card(hub, sluice_run):
    push_to_hub(sluice_run, NAME)
    files = hub.files(NAME)
    pictures = {name for name in files if name.startswith("coupling-")}
    assert pictures == {"coupling-alpha.png", "coupling-beta.png"}
    assert all(files[name].startswith(b"\x89PNG") and f"]({name})".encode() in files["README.md"] for name in pictures)
    assert not list(sluice_run.glob("coupling-*"))


def test_the_card_on_the_hub_is_valid_and_has_the_scores_of_the_run(hub, tiny_run):
    push_to_hub(tiny_run, NAME, licence="cc-by-sa-4.0")
    card = ModelCard(hub.files(NAME)["README.md"].decode())
    assert (card.data.license, card.data.model_name) == ("cc-by-sa-4.0", "tagger")
    trained = scores_from_json(json.loads((tiny_run / "metrics.json").read_text())["test"]["toy"])
    found = {result.metric_name.partition(":")[0]: result.metric_value for result in card.data.eval_results}
    assert found == {task: pytest.approx(score.main_value, abs=1e-6) for task, score in trained.items()}


def test_the_python_of_the_card_runs(hub, tiny_run, capsys):
    push_to_hub(tiny_run, NAME)
    text = hub.files(NAME)["README.md"].decode()
    code = text.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    assert "'upos': " in capsys.readouterr().out


def test_a_card_of_ones_own_goes_instead(hub, tiny_run, tmp_path):
    for file in tiny_run.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "README.md").write_text("---\ntags: [mine]\n---\n\n# Mine\n")
    push_to_hub(tmp_path, NAME)
    assert hub.files(NAME)["README.md"].endswith(b"# Mine\n")


def test_a_tagger_is_published_without_a_past(hub, tiny_model):
    tiny = tiny_model("upos", "ner")
    tagger = Tagger(tiny.model.remove_task("upos"), tiny.indexer)
    tagger.push_to_hub(NAME, private=True)
    assert {name for name in hub.files(NAME) if "token" not in name} == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "vocabulary.json",
    }
    assert hub.repositories[NAME].private
    card = hub.files(NAME)["README.md"].decode()
    assert "## Scores" not in card
    assert "Training data" not in card
    assert Tagger.from_pretrained(NAME)(TEXT) == tagger(TEXT)


def test_a_bare_model_goes_to_the_hub_as_transformers_does_it(hub, tiny_model):
    model = tiny_model("upos").model
    model.push_to_hub(NAME)
    assert {"config.json", "model.safetensors"} < set(hub.files(NAME))
    again = SeqMTLModel.from_pretrained(NAME)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())


def test_shards_are_published_as_they_are(hub, tiny_run, tmp_path):
    model, indexer = load_checkpoint(tiny_run)
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    indexer.save_pretrained(tmp_path)
    push_to_hub(tiny_run, NAME)
    push_to_hub(tmp_path, NAME)
    assert "model.safetensors" not in hub.files(NAME)
    assert "recipe.yaml" not in hub.files(NAME)
    again, _ = load_checkpoint(NAME)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in again.state_dict().items())


def test_a_broken_run_is_not_published(hub, tiny_run, tmp_path):
    for file in tiny_run.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "metrics.json").write_text("[]")
    with pytest.raises(DataError, match=r"metrics\.json: does not hold the scores of a run"):
        push_to_hub(tmp_path, NAME)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        push_to_hub(tmp_path, NAME)
    assert hub.repositories == {}


def test_nobody_publishes_without_a_token(hub, tiny_run, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="refused with status 401"):
        push_to_hub(tiny_run, NAME)
    push_to_hub(tiny_run, NAME, token=TOKEN)


def test_a_published_recipe_trains_where_its_corpora_lie(hub, private_run, tmp_path, quiet):
    push_to_hub(private_run, NAME)
    content = yaml.safe_load(hub.files(NAME)["recipe.yaml"])
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "secret").rename(there / "own")
    content["encoder"] = {"kind": "bilstm", "layers": 1, "width": 8, "word_dim": 8}
    content["training"] |= {"start_from": None, "max_steps": 1}
    content["sharing"] |= {"alpha_from": None, "connections": None}
    assert set(train_recipe(RecipeSpec.parse(content, source="there"), there / "run", folder=there, console=quiet)) == {
        "own"
    }


FRESH = """
import sys
from seqmtl import SeqMTLModel, Tagger, push_to_hub
if sys.argv[1] == "push":
    print(push_to_hub(sys.argv[2], sys.argv[3]))
else:
    print(Tagger.from_pretrained(sys.argv[2])(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_fresh_process_pushes_and_another_loads(hub, tiny_run, tmp_path):
    environment = {
        **{key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }

    def fresh(*arguments: str, **more: str) -> str:
        command = [sys.executable, "-c", FRESH, *arguments]
        return subprocess.run(
            command, env=environment | more, capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout.strip()

    assert fresh("push", str(tiny_run), NAME).startswith(f"{hub.url}/{NAME}/commit/")
    expected = str(Tagger.from_pretrained(tiny_run)(TEXT))
    assert fresh("load", NAME, TEXT) == expected
    hub.asked.clear()
    assert fresh("load", NAME, TEXT, HF_HUB_OFFLINE="1") == expected
    assert hub.asked == []
