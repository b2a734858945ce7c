import io
import json

import pytest
import torch
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, load_recipe_of, save_checkpoint, save_recipe
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.evaluation import scores_from_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import evaluate_checkpoint, prune_checkpoint
from seqmtl.training.lock import locked
from seqmtl.training.prune import pruning_table
from seqmtl.training.setup import prepare


def saved(tiny, sharing, folder):
    """A checkpoint that was never trained, with its recipe."""
    tiny["corpora"]["toy"]["sizes"] = {"train": 12, "dev": 4, "test": 2}
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "chunk")}
    tiny["sharing"] = sharing
    prepared = prepare(RecipeSpec.parse(tiny, source="test"), folder=folder)
    save_checkpoint(folder, prepared.model, prepared.indexer)
    save_recipe(folder, prepared.recipe)
    return folder


@pytest.fixture
def run(tiny, tmp_path):
    """Two cross-stitched towers of two layers, each of which reads 0.9 of itself and 0.1 of the other."""
    tower = {"kind": "bilstm", "layers": 2, "width": 8}
    return saved(tiny, {"kind": "cross_stitch", "tower": tower}, tmp_path / "run")


def test_a_folder_in_which_a_run_is_trained_is_left_alone(run, tmp_path):
    out = tmp_path / "pruned"
    prune_checkpoint(run, threshold=0.5, out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with locked(out), pytest.raises(ConfigError, match="another run is writing to it"):
        prune_checkpoint(run, threshold=0.1, out=out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_pruned_run_is_a_checkpoint_with_its_scores(run, tmp_path):
    out = tmp_path / "new" / "pruned"
    pruned = prune_checkpoint(run, threshold=0.5, out=out)
    assert (pruned.pruning.entries, pruned.pruning.of, pruned.pruning.layers) == (4, 8, 0)
    assert pruned.before["toy"] == evaluate_checkpoint(run, split="dev")["toy"].scores
    assert pruned.after["toy"] == evaluate_checkpoint(out, split="dev")["toy"].scores
    model, _ = load_checkpoint(out)
    assert torch.equal(model.sharing.coupling().tables["alpha 2"].values, torch.eye(2) * 0.9)
    names = {path.name for path in out.iterdir()}
    assert names == {"config.json", "metrics.json", "model.safetensors", "recipe.yaml", "vocabulary.json"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert scores_from_json(metrics["dev"]["toy"]) == pruned.after["toy"]
    assert scores_from_json(metrics["pruned"]["before"]["toy"]) == pruned.before["toy"]
    assert (metrics["pruned"]["run"], metrics["pruned"]["threshold"]) == (str(run), 0.5)
    assert metrics["pruned"]["parameters"] == dict(zip(("before", "after"), pruned.parameters, strict=True))


def test_the_run_itself_stays_as_it_is(run, tmp_path):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    prune_checkpoint(run, threshold=0.5, out=tmp_path / "pruned", split="test")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_layers_that_no_task_reaches_are_gone(tiny, tmp_path):
    tower = {"kind": "bilstm", "layers": 2, "width": 8}
    run = saved(tiny, {"kind": "cross_stitch", "tower": tower}, tmp_path / "run")
    model, indexer = load_checkpoint(run)
    model.sharing.lockstep.mixers[1].start(torch.tensor([[1.0, 0.0], [1.0, 0.1]]))  # both read the first tower
    save_checkpoint(run, model, indexer)
    pruned = prune_checkpoint(run, threshold=0.5, out=tmp_path / "pruned")
    assert pruned.pruning.layers == 2  # both layers of the second tower
    layers = [
        sum(p.numel() for p in layer.parameters()) for layer in model.sharing.lockstep.towers["chunk"].layers.values()
    ]
    before, after = pruned.parameters
    assert before - after == sum(layers) > 0


def test_a_former_run_in_the_folder_goes(run, tmp_path):
    out = tmp_path / "pruned"
    out.mkdir()
    for name in ("history.jsonl", "training.png", "notes.txt"):
        (out / name).write_text("")
    prune_checkpoint(run, threshold=0.5, out=out)
    (out / "best" / "upos").mkdir(parents=True)
    prune_checkpoint(run, threshold=0.5, out=out)  # where a pruned one is, without a history
    assert not (out / "best").exists()
    assert {"history.jsonl", "training.png", "notes.txt"} & {path.name for path in out.iterdir()} == {"notes.txt"}


def test_the_recipe_is_saved_with_its_overrides(run, tmp_path):
    prune_checkpoint(run, threshold=0.5, out=tmp_path / "pruned", overrides=["corpora.toy.sizes.dev=3"])
    assert len(evaluate_checkpoint(tmp_path / "pruned", split="dev")["toy"].rows) == 3


def test_a_path_in_an_override_counts_from_the_run_before_and_after(run, write_corpus, toy_rows, tmp_path):
    corpus = write_corpus("c", train=toy_rows(4), dev=toy_rows(4), test=toy_rows(4)) | {"path": "../c"}
    out = tmp_path / "far" / "away"
    pruned = prune_checkpoint(run, threshold=0.5, out=out, overrides=[f"corpora.toy={json.dumps(corpus)}"])
    assert pruned.after["toy"] == evaluate_checkpoint(out, split="dev")["toy"].scores
    recipe, _ = load_recipe_of(out)
    assert recipe.corpora["toy"].path == str(tmp_path / "c")


def test_a_scheme_without_alphas_is_refused(tiny, tmp_path):
    run = saved(tiny, {"kind": "hard"}, tmp_path / "run")
    with pytest.raises(ConfigError, match="sharing of kind 'hard' has no alphas; name a run"):
        prune_checkpoint(run, threshold=0.1, out=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


def test_a_threshold_that_leaves_a_task_nothing_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match=r"a threshold of 0\.95 leaves task 'upos' nothing to read after layer 2"):
        prune_checkpoint(run, threshold=0.95, out=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


def test_other_mistakes_are_refused_before_anything_is_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made a folder"):
        prune_checkpoint(run, threshold=0.5, out=tmp_path / "file" / "pruned")
    with pytest.raises(ConfigError, match="is the run that is to be pruned"):
        prune_checkpoint(run, threshold=0.5, out=run / ".." / "run")
    with pytest.raises(ConfigError, match=r"no split 'dve'.*'dev'"):
        prune_checkpoint(run, threshold=0.5, out=tmp_path / "pruned", split="dve")
    assert not list((tmp_path / "pruned").iterdir())
    with pytest.raises(CheckpointError, match="there is no such folder"):
        prune_checkpoint(tmp_path / "none", threshold=0.5, out=tmp_path / "pruned")


def test_the_table_shows_scores_beside_each_other_and_what_was_removed(run, tmp_path):
    pruned = prune_checkpoint(run, threshold=0.5, out=tmp_path / "pruned")
    stream = io.StringIO()
    Console(file=stream, width=100).print(pruning_table(pruned, title="[x] dev"))
    text = stream.getvalue()
    assert "[x] dev" in text
    assert "alphas removed: 4 of 8; layers of towers dropped: 0" in text
    before, after = (100 * scores["toy"]["upos"].main_value for scores in (pruned.before, pruned.after))
    (line,) = [line.split() for line in text.splitlines() if " upos " in line]
    assert line[1::2] == ["toy", "upos", "accuracy", f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]
