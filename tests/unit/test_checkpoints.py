"""Checkpoints: they come back whole, and a broken one is an error that names what is broken."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from seqmtl.checkpoints import (
    load_checkpoint,
    load_recipe_of,
    save_checkpoint,
    save_metrics,
    save_recipe,
)
from seqmtl.errors import CheckpointError
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec


@pytest.fixture
def folder(tiny_model: Callable[..., Any], tmp_path: Path) -> Path:
    """A checkpoint with every kind of file."""
    tiny = tiny_model("upos", "chunk")
    save_checkpoint(tmp_path / "run", tiny.model, tiny.indexer)
    return tmp_path / "run"


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pickle_instead(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def forget_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def shard(folder: Path) -> dict[str, Any]:
    """Cut the weights into two shards; return their index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {
        "model-1.safetensors": dict(list(weights.items())[::2]),
        "model-2.safetensors": dict(list(weights.items())[1::2]),
    }
    for name, part in parts.items():
        save_file(part, folder / name, metadata={"format": "pt"})
    return {"metadata": {}, "weight_map": {key: name for name, part in parts.items() for key in part}}


def shard_elsewhere(folder: Path, name: str) -> None:
    """Let the index name a file of the folder above."""
    index = shard(folder)
    (folder / "model-1.safetensors").rename(folder.parent / "outside.safetensors")
    index["weight_map"] = {key: name if "1" in file else file for key, file in index["weight_map"].items()}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def lie_in_the_index(folder: Path) -> None:
    index = shard(folder)
    index["weight_map"]["heads.upos.scorer.outer.bias"] = "model-1.safetensors"
    index["weight_map"]["heads.upos.scorer.outer.weight"] = "model-1.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def poison(folder: Path, name: str, value: float) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name].view(-1)[1] = value

    edit_weights(folder, change)


def set_key(folder: Path, path: str, value: Any) -> None:
    """Set a key of config.json, such as ``tasks.0.labels``."""

    def change(content: Any) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            content = content[part]
        content[last] = value

    edit_config(folder, change)


def behead(folder: Path, task: str) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith(f"heads.{task}.")]:
            del weights[name]

    edit_weights(folder, change)


def set_tokenizer_key(folder: Path, key: str, value: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "not a checkpoint: there is no such folder"),
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "config cut": (lambda f: cut_in_half(f / "config.json"), r"config\.json: cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), r"config\.json: must hold a mapping.*list"),
    "foreign model": (lambda f: set_key(f, "model_type", "bert"), "model_type is 'bert'"),
    "newer format": (lambda f: set_key(f, "format_version", 99), "format 99 is newer than 2.*upgrade seqmtl"),
    "no format": (
        lambda f: edit_config(f, lambda c: c.pop("format_version")),
        "format_version is None; .*reads 1 to 2",
    ),
    "no backbone": (lambda f: edit_config(f, lambda c: c.pop("backbone")), "'backbone'"),
    "no labels": (lambda f: edit_config(f, lambda c: c["tasks"][1].pop("labels")), r"tasks\.1: the key 'labels' is"),
    "a label twice": (lambda f: set_key(f, "tasks.0.labels", ["A", "A"]), r"tasks\.0: labels must be strings"),
    "a label is a number": (lambda f: set_key(f, "tasks.0.labels", [1, 2]), r"tasks\.0: labels must be strings"),
    "a reserved name": (lambda f: set_key(f, "tasks.0.name", "train"), r"tasks\.0: 'train' is reserved"),
    "a task twice": (lambda f: set_key(f, "tasks.0.name", "chunk"), "tasks are chunk, chunk; give"),
    "no tasks": (lambda f: set_key(f, "tasks", []), "tasks are none; give one or more"),
    "a bad head": (lambda f: set_key(f, "tasks.0.spec.head.dropout", 7), r"tasks\.0: .*head\.dropout: got 7"),
    "bad sharing": (lambda f: set_key(f, "sharing", {"kind": "telepathy"}), r"sharing\.kind: got 'telepathy'; allowed"),
    "a negative size": (lambda f: set_key(f, "n_characters", -3), "n_characters is -3"),
    "sharing leaves a task out": (lambda f: set_key(f, "sharing_tasks", ["upos"]), "sharing_tasks leaves out chunk"),
    "decoders of no task": (
        lambda f: set_key(f, "decoders", {"pos": {"count": 2}}),
        r"decoders names pos, which is no task",
    ),
    "decoders in a list": (lambda f: set_key(f, "decoders", [2]), r"decoders is \[2\]; it must be a mapping"),
    "a decoder that leads is none of them": (
        lambda f: set_key(f, "decoders", {"upos": {"count": 2, "best": 2}}),
        r"decoders\.upos: .*best is 2, but the 2 decoders",
    ),
    "a decoder more": (
        lambda f: set_key(f, "decoders", {"upos": {"count": 2}}),
        r"mismatched keys: heads\.upos\.",
    ),
    "heads that do not divide": (
        lambda f: set_key(f, "backbone.num_attention_heads", 3),
        "config.json describes no model that can be built: .*hidden size",
    ),
    "a label less": (
        lambda f: edit_config(f, lambda c: c["tasks"][0]["labels"].pop()),
        r"mismatched keys: heads\.upos\.class_weights \(8 in the weights, 7 by config\.json\)",
    ),
    "a label more": (
        lambda f: edit_config(f, lambda c: c["tasks"][1]["labels"].append("B-NEW")),
        r"mismatched keys: .*heads\.chunk",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        r"has no model\.safetensors; a checkpoint needs it, or shards",
    ),
    "weights cut": (lambda f: cut_in_half(f / "model.safetensors"), r"model\.safetensors: cannot be read"),
    "weights empty": (lambda f: (f / "model.safetensors").write_bytes(b""), r"model\.safetensors: cannot be read"),
    "a key less": (
        lambda f: edit_weights(f, lambda w: w.pop("heads.chunk.transitions")),
        r"missing keys: heads\.chunk\.transitions",
    ),
    "a key more": (
        lambda f: edit_weights(f, lambda w: w.update({"heads.chunk.extra": torch.zeros(3)})),
        r"unexpected keys: heads\.chunk\.extra",
    ),
    "another shape": (
        lambda f: edit_weights(f, lambda w: w.update({"heads.chunk.start": torch.zeros(1, 99)})),
        r"mismatched keys: heads\.chunk\.start \(1 x 99 in the weights, 1 x 5 by",
    ),
    "index cut": (
        lambda f: (f / "model.safetensors.index.json").write_text(json.dumps(shard(f))[:40]),
        r"index\.json: is no index of shards",
    ),
    "index lies": (lie_in_the_index, r"weight_map\.heads\.upos.* says model-1\.safetensors, which has no such tensor"),
    "no tokenizer": (forget_tokenizer, "tokenizer"),
    "tokenizer cut": (lambda f: cut_in_half(f / "tokenizer.json"), "tokenizer"),
    "no vocabulary": (lambda f: (f / "vocabulary.json").unlink(), r"vocabulary\.json: no such file"),
    "vocabulary cut": (lambda f: cut_in_half(f / "vocabulary.json"), r"vocabulary\.json: not a vocabulary file"),
    "vocabulary empty": (lambda f: (f / "vocabulary.json").write_text("{}"), r"vocabulary\.json lacks"),
    "foreign vocabulary": (
        lambda f: (f / "vocabulary.json").write_text('{"characters": ["a", "b"]}'),
        r"vocabulary\.json does not fit config\.json: .*characters=4",
    ),
}

# What somebody may put into a checkpoint to harm whoever loads it.
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "only a pickle": (pickle_instead, r"only pytorch_model\.bin: loading a pickle runs whatever code"),
    "code of its own": (
        lambda f: set_key(f, "auto_map", {"AutoModel": "modeling.Evil"}),
        "auto_map is .*runs no code that a checkpoint brings",
    ),
    "code in the backbone": (
        lambda f: set_key(f, "backbone.auto_map", {"AutoModel": "modeling.Evil"}),
        r"backbone\.auto_map is",
    ),
    "a kernel of the hub": (lambda f: set_key(f, "attn_implementation", "evil/kernel"), "attn_implementation is 'evil"),
    "a kernel for the backbone": (
        lambda f: set_key(f, "backbone._attn_implementation", "evil/kernel"),
        r"backbone\._attn_implementation is",
    ),
    "another model inside the backbone": (
        lambda f: set_key(f, "backbone.use_pretrained_backbone", True),
        r"backbone\.use_pretrained_backbone is",
    ),
    "weights elsewhere": (
        lambda f: set_key(f, "transformers_weights", "../outside.safetensors"),
        "transformers_weights is '../outside",
    ),
    "an adapter": (
        lambda f: (f / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/base"}'),
        r"adapter_config\.json: an adapter",
    ),
    "code of the tokenizer": (
        lambda f: set_tokenizer_key(f, "auto_map", {"AutoTokenizer": ["tok.Evil", None]}),
        r"tokenizer_config\.json: auto_map is",
    ),
    "a tokenizer elsewhere": (
        lambda f: set_tokenizer_key(f, "tokenizer_file", "../../secret.json"),
        r"tokenizer_file is '../../secret\.json', which is no file of the checkpoint",
    ),
    "tokenizers elsewhere": (
        lambda f: set_tokenizer_key(f, "fast_tokenizer_files", ["../tokenizer.4.0.0.json"]),
        "fast_tokenizer_files is '../tokenizer",
    ),
    "a shard above": (lambda f: shard_elsewhere(f, "../outside.safetensors"), r"is '../outside.*of the same folder"),
    "a shard anywhere": (
        lambda f: shard_elsewhere(f, str(f.parent / "outside.safetensors")),
        r"weight_map\..*outside\.safetensors'; it must be",
    ),
    "a shard that is a pickle": (
        lambda f: shard_elsewhere(f, "pytorch_model.bin"),
        "is 'pytorch_model.bin'; it must be",
    ),
    "NaN": (
        lambda f: poison(f, "heads.chunk.transitions", float("nan")),
        r"NaN or infinite.*heads\.chunk\.transitions",
    ),
    "infinity": (
        lambda f: poison(f, "encoder.spelling.weight", float("inf")),
        r"NaN or inf.*encoder\.spelling\.weight",
    ),
    "no head": (lambda f: behead(f, "chunk"), "missing keys: heads.chunk.*there is no head of task 'chunk'"),
    "a billion words": (lambda f: set_key(f, "n_characters", 10**13), r"characters.* 10000000000000 x 8 by config"),
    "a billion decoders": (
        lambda f: set_key(f, "decoders", {"upos": {"count": 10**13}}),
        r"heads\.upos.* 10000000000000 x",
    ),
    "a number beyond all": (lambda f: set_key(f, "n_characters", 10**30), "config.json describes no model"),
    "a billion layers": (
        lambda f: set_key(f, "backbone.num_hidden_layers", 10**9),
        r"backbone\.num_hidden_layers is 1,000,000,000, but the weights are \d+ tensors",
    ),
    "a billion layers that are listed when the configuration is read": (
        lambda f: set_key(f, "backbone", {"model_type": "modernbert", "num_hidden_layers": 10**9}),
        r"backbone\.num_hidden_layers is 1,000,000,000, but the weights are \d+ tensors",
    ),
    "a block of a billion layers": (
        lambda f: set_key(f, "backbone", {"model_type": "funnel", "block_sizes": [10**9]}),
        r"backbone\.block_sizes\.0 is 1,000,000,000",
    ),
    "a billion labels of the backbone": (
        lambda f: set_key(f, "backbone.num_labels", 10**9),
        r"backbone\.num_labels is 1,000,000,000",
    ),
    "a million labels": (
        lambda f: set_key(f, "tasks.0.labels", [f"L{n}" for n in range(10**6)]),
        r"tasks\.0\.labels are 1,000,000, but the weights are [\d,]+ numbers",
    ),
    "a million labels of a CRF": (
        lambda f: set_key(f, "tasks.1.labels", ["O", *(f"B-{n}" for n in range(10**6))]),
        r"tasks\.1\.labels are 1,000,001",
    ),
    "transitions beyond all": (
        lambda f: set_key(f, "tasks.1.labels", ["O", *(f"B-{n}" for n in range(5000))]),
        r"tasks\.1\.labels are 5,001",
    ),
    "a tower of a billion layers": (
        lambda f: set_key(f, "sharing.tower", {"kind": "bilstm", "layers": 10**9}),
        r"sharing\.tower\.layers is 1,000,000,000",
    ),
    "a billion subspaces": (
        lambda f: set_key(
            f, "sharing", {"kind": "sluice", "tower": {"kind": "bilstm", "width": 2 * 10**9}, "subspaces": 10**9}
        ),
        r"sharing\.subspaces is 1,000,000,000",
    ),
    "a wide head": (
        lambda f: set_key(f, "tasks.0.spec.head.hidden", 10**12),
        r"missing keys: heads\.upos.*|mismatched keys: .*1000000000000",
    ),
    "a thousand tasks": (
        lambda f: edit_config(f, lambda c: c["tasks"].extend(c["tasks"][0] | {"name": f"t{n}"} for n in range(10**3))),
        "1,002 tasks, but the weights are",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_checkpoint_is_an_error_that_names_what_is_broken(folder: Path, breakage: str):
    do, message = BREAKAGES[breakage]
    do(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert str(caught.value).startswith(str(folder))


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_checkpoint_is_refused_with_the_reason(folder: Path, attack: str):
    do, message = HOSTILE[attack]
    do(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert str(caught.value).startswith(str(folder))
    if "tokenizer" not in attack:  # which the model does not load
        with pytest.raises(CheckpointError, match=message):
            SeqMTLModel.from_pretrained(folder)


def test_labels_that_transformers_would_count_are_not_ours(folder: Path):
    set_key(folder, "num_labels", 10**12)
    load_checkpoint(folder)


def test_what_was_broken_above_is_whole_before(folder: Path):
    load_checkpoint(folder)
    (folder / "pytorch_model.bin").write_bytes(b"beside safetensors a pickle is not looked at")
    load_checkpoint(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps(shard(folder)))
    load_checkpoint(folder)


def test_a_checkpoint_is_safetensors_json_and_a_tokenizer(folder: Path):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocabulary.json",
    }


@torch.no_grad()
def test_model_and_indexer_come_back(tiny_model: Callable[..., Any], tmp_path: Path):
    tiny = tiny_model()
    save_checkpoint(tmp_path / "run", tiny.model.eval(), tiny.indexer)
    model, indexer = load_checkpoint(str(tmp_path / "run"))
    assert not model.training
    inputs = indexer([row["tokens"] for row in tiny.rows])
    assert torch.equal(inputs.pieces.ids, tiny.batch.inputs.pieces.ids)
    assert torch.equal(inputs.characters.ids, tiny.batch.inputs.characters.ids)
    ours, theirs = (m.features(inputs, ["srl"])["srl"] for m in (tiny.model, model))
    assert torch.equal(ours, theirs)


def test_a_checkpoint_can_be_overwritten_while_a_model_of_it_is_in_use(tiny_model: Callable[..., Any], tmp_path: Path):
    first, second = tiny_model("upos"), tiny_model("upos", seed=2)
    save_checkpoint(tmp_path, first.model, first.indexer)
    loaded, _ = load_checkpoint(tmp_path)
    weight = loaded.heads["upos"].scorer.outer.weight.clone()
    save_checkpoint(tmp_path, second.model, second.indexer)
    assert torch.equal(loaded.heads["upos"].scorer.outer.weight, weight)
    again, _ = load_checkpoint(tmp_path)
    assert torch.equal(again.heads["upos"].scorer.outer.weight, second.model.heads["upos"].scorer.outer.weight)


def test_a_recipe_comes_back_with_its_defaults_spelled_out(tiny: dict[str, Any], tmp_path: Path):
    recipe = RecipeSpec.parse(tiny, source="test")
    save_recipe(tmp_path, recipe)
    loaded, home = load_recipe_of(tmp_path)
    assert (loaded, home) == (recipe, tmp_path)
    assert "clip_norm" in (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
    changed, _ = load_recipe_of(tmp_path, overrides=["training.epochs=9"])
    assert changed.training.epochs == 9


def test_a_folder_without_a_recipe_says_so(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"has no recipe\.yaml"):
        load_recipe_of(tmp_path)


def test_metrics_are_readable_json(tmp_path: Path):
    save_metrics(tmp_path, {"test": {"ewt": {"é": 0.5}}})
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"test": {"ewt": {"é": 0.5}}}
    assert "é" in text


def test_a_checkpoint_that_cannot_be_written_leaves_the_former_one(folder, tiny_model, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = tiny_model("upos", "chunk", seed=2)

    def fail(self, aside):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(other.indexer), "save_pretrained", fail)  # after the weights
        with pytest.raises(CheckpointError, match=rf"^{folder}: cannot be written \(No space left.*\); .* is kept"):
            save_checkpoint(folder, other.model, other.indexer)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    save_checkpoint(folder, other.model, other.indexer)
    assert {name for name, old in before.items() if (folder / name).read_bytes() != old} == {"model.safetensors"}


def test_recipe_and_scores_that_cannot_be_written_are_an_error(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"nowhere/metrics\.json: cannot be written \(No such file or directory\)"
    ):
        save_metrics(tmp_path / "nowhere", {})
