"""What a recipe starts from: paths, and errors before training."""

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, load_recipe_of, save_checkpoint
from seqmtl.errors import ConfigError
from seqmtl.sharing.coupling import coupling_to_json
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import train_recipe
from seqmtl.training.setup import prepare, resolved
from seqmtl.training.start import Start

TOWER = {"kind": "bilstm", "layers": 2, "width": 8}


@pytest.fixture
def recipe(tiny):
    tiny["corpora"]["toy"]["sizes"] = {"train": 12, "dev": 2, "test": 2}
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "chunk")}
    tiny["sharing"] = {"kind": "sluice", "tower": TOWER}
    tiny["training"]["max_steps"] = 1
    return RecipeSpec.parse(tiny, source="test")


def changed(recipe, part, **values):
    return recipe.model_copy(update={part: getattr(recipe, part).model_copy(update=values)})


@pytest.fixture
def other(recipe, tmp_path):
    """A checkpoint in ``other`` and its coupling in ``alpha.json``, beside the recipe."""
    prepared = prepare(changed(recipe, "sharing", alpha="balanced", beta="uniform"), folder=tmp_path)
    save_checkpoint(tmp_path / "other", prepared.model, prepared.indexer)
    tables = coupling_to_json(prepared.model.sharing.coupling())
    (tmp_path / "alpha.json").write_text(json.dumps({"tables": tables}))
    return prepared.model


def test_paths_count_from_the_folder_of_the_recipe(recipe, tmp_path, monkeypatch):
    asked = changed(changed(recipe, "training", start_from="other"), "sharing", alpha_from="../alpha.json")
    found = resolved(asked, folder=tmp_path / "recipes")
    assert found.training.start_from == str(tmp_path / "recipes" / "other")
    assert found.sharing.alpha_from == str(tmp_path / "alpha.json")
    assert resolved(found, folder=Path("elsewhere")) == found
    monkeypatch.setenv("HOME", "/home/anna")
    assert (
        resolved(changed(recipe, "training", start_from="~/run"), folder=tmp_path).training.start_from
        == "/home/anna/run"
    )
    assert resolved(recipe, folder=tmp_path).training == recipe.training


def test_alphas_go_before_those_of_the_run_to_start_from(recipe, other, tmp_path):
    prepared = prepare(changed(recipe, "training", start_from="other"), folder=tmp_path)
    assert prepared.warm_start is not None
    assert not prepared.warm_start.new
    tables = prepared.model.sharing.coupling().tables
    assert torch.equal(tables["alpha 1"].values, torch.full((4, 4), 0.25))
    mine = json.loads((tmp_path / "alpha.json").read_text())
    mine["tables"]["alpha 1"]["values"][0] = [0.5, 0.125, 0.0, -1.0]
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    both = changed(changed(recipe, "training", start_from="other"), "sharing", alpha_from="mine.json")
    model = prepare(both, folder=tmp_path).model
    assert model.sharing.coupling().tables["alpha 1"].values[0].tolist() == [0.5, 0.125, 0.0, -1.0]
    assert all(torch.equal(p, other.get_parameter(n)) for n, p in model.named_parameters() if "mixers.0" not in n)


def test_without_either_nothing_is_read(recipe, tmp_path):
    prepared = prepare(recipe, folder=tmp_path)
    assert prepared.warm_start is None
    start = Start(recipe)
    assert (start.donor, start.alphas) == (None, None)


def test_the_trained_checkpoint_needs_neither(recipe, other, tmp_path, capsys):
    asked = changed(changed(recipe, "training", start_from="other"), "sharing", alpha_from="alpha.json")
    train_recipe(asked, tmp_path / "run", folder=tmp_path, console=Console())
    assert f"start from {tmp_path}/other: " in capsys.readouterr().out
    (tmp_path / "alpha.json").unlink()
    (tmp_path / "other" / "config.json").unlink()
    model, _ = load_checkpoint(tmp_path / "run")
    assert model.sharing.coupling().tables.keys() == other.sharing.coupling().tables.keys()
    saved, _ = load_recipe_of(tmp_path / "run")
    assert saved.training.start_from == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("training", {"start_from": "none"}, r"training\.start_from: .*there is no such folder"),
        ("sharing", {"alpha_from": "none.json"}, r"sharing\.alpha_from: .*none\.json: No such file"),
        (
            "sharing",
            {"alpha_from": "alpha.json", "subspaces": 1},
            r"between upos\.1, upos\.2, chunk\.1, chunk\.2; this recipe has .* between upos, chunk;",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(recipe, other, tmp_path, part, values, message):
    with pytest.raises(ConfigError, match=message):
        train_recipe(changed(recipe, part, **values), tmp_path / "run", folder=tmp_path, console=Console(quiet=True))
    assert not (tmp_path / "run" / "history.jsonl").exists()


META = {"kind": "meta_lstm", "width": 8, "meta_size": 3, "vector_size": 2}


@pytest.fixture
def teacher(tiny, tmp_path):
    """A trained Meta-LSTM of one task in ``teacher``; and the recipe of another task that starts from it."""
    tiny["corpora"]["toy"]["sizes"] = {"train": 40, "dev": 2, "test": 2}
    tiny["training"]["max_steps"] = 2
    tiny["sharing"] = META
    tasks = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "chunk")}
    first = RecipeSpec.parse(tiny | {"tasks": {"upos": tasks["upos"]}}, source="test")
    train_recipe(first, tmp_path / "teacher", folder=tmp_path, console=Console(quiet=True))
    tiny["corpora"]["toy"]["sizes"] = {"train": 12, "dev": 2, "test": 2}  # so fewer words are known
    tiny["training"] |= {"start_from": "teacher", "freeze": "meta"}
    return tiny | {"tasks": {"chunk": tasks["chunk"]}}


def test_ml5_transfer_trains_a_new_task_under_the_frozen_meta_cell_of_another_run(teacher, tmp_path):
    recipe = RecipeSpec.parse(teacher, source="test")
    assert prepare(recipe, folder=tmp_path).warm_start is not None
    train_recipe(recipe, tmp_path / "student", folder=tmp_path, console=Console(quiet=True))
    (ours, our_indexer), (theirs, their_indexer) = (load_checkpoint(tmp_path / name) for name in ("student", "teacher"))
    assert our_indexer.words.vocabulary == their_indexer.words.vocabulary
    assert our_indexer.characters.vocabulary == their_indexer.characters.vocabulary
    for one, other in zip(ours.sharing.generator(), theirs.sharing.generator(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(
        ours.encoder.get_parameter("embedding.weight"), theirs.encoder.get_parameter("embedding.weight")
    )
    assert list(ours.sharing.layers[0].basic) == ["chunk"]


def test_freezing_needs_something_to_keep(teacher, tmp_path):
    alone = teacher | {"training": teacher["training"] | {"start_from": None}}
    with pytest.raises(ConfigError, match=r"training\.freeze: 'meta' .* name it in training\.start_from"):
        prepare(RecipeSpec.parse(alone, source="test"), folder=tmp_path)
    larger = teacher | {"sharing": META | {"meta_size": 4}}
    with pytest.raises(ConfigError, match=r"training\.freeze: .*teacher has no Meta-LSTM of the same sizes"):
        prepare(RecipeSpec.parse(larger, source="test"), folder=tmp_path)


def test_a_scheme_without_a_meta_lstm_cannot_freeze_it(recipe, other, tmp_path):
    with pytest.raises(ConfigError, match="kind 'sluice' has no Meta-LSTM"):
        prepare(changed(recipe, "training", start_from="other", freeze="meta"), folder=tmp_path)


def test_a_run_on_another_language_is_refused(teacher, tmp_path, write_corpus):
    prepare(RecipeSpec.parse(teacher, source="test"), folder=tmp_path)
    rows = [{"id": str(n), "tokens": ["żaba", "kumka"], "chunk_tags": ["B-NP", "B-VP"]} for n in range(3)]
    other = teacher | {"corpora": {"polish": write_corpus("polish", train=rows, dev=rows)}}
    with pytest.raises(ConfigError, match="teacher knows 0 of the 6 words of this recipe's training sentences"):
        prepare(RecipeSpec.parse(other, source="test"), folder=tmp_path)


def test_spelling_is_cut_as_the_recipe_says(teacher, tmp_path):
    teacher["encoder"]["characters"]["max_length"] = 4
    indexer = prepare(RecipeSpec.parse(teacher, source="test"), folder=tmp_path).indexer
    assert indexer.characters.max_length == 4
