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


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "has no config.json"),
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "config cut": (lambda f: cut_in_half(f / "config.json"), r"config\.json: cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), r"config\.json: model_type is None"),
    "foreign model": (lambda f: edit_config(f, lambda c: c.update(model_type="bert")), "model_type is 'bert'"),
    "newer format": (lambda f: edit_config(f, lambda c: c.update(format_version=99)), "format 99 is newer than 1"),
    "no backbone": (lambda f: edit_config(f, lambda c: c.pop("backbone")), "'backbone'"),
    "a label less": (
        lambda f: edit_config(f, lambda c: c["tasks"][0]["labels"].pop()),
        r"mismatched keys: .*heads\.upos\.scorer\.outer\.weight",
    ),
    "a label more": (
        lambda f: edit_config(f, lambda c: c["tasks"][1]["labels"].append("B-NEW")),
        r"mismatched keys: .*heads\.chunk",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors"),
    "only a pickle": (pickle_instead, r"model\.safetensors"),
    "weights cut": (lambda f: cut_in_half(f / "model.safetensors"), r"model\.safetensors"),
    "weights empty": (lambda f: (f / "model.safetensors").write_bytes(b""), r"model\.safetensors"),
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
        r"mismatched keys: .*heads\.chunk\.start.*99",
    ),
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


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_checkpoint_is_an_error_that_names_what_is_broken(folder: Path, breakage: str):
    load_checkpoint(folder)
    do, message = BREAKAGES[breakage]
    do(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value) or breakage == "no backbone"


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
