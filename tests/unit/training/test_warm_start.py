import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import ModernBertConfig, ModernBertModel

from seqmtl.checkpoints import load_checkpoint, save_checkpoint
from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.setup import prepare
from seqmtl.training.warm_start import load_donor, take_over

TOWER = {"kind": "bilstm", "layers": 2, "width": 8}


@pytest.fixture
def recipe(tiny):
    """Two tasks with a tower each, on few sentences."""
    tiny["corpora"]["toy"]["sizes"] = {"train": 12, "dev": 2, "test": 2}
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "chunk")}
    tiny["sharing"] = {"kind": "independent", "tower": TOWER}
    return tiny


def ready(recipe, seed=1):
    training = recipe["training"] | {"seed": seed}
    return prepare(RecipeSpec.parse(recipe | {"training": training}, source="test"), folder=Path())


@pytest.fixture
def donor(recipe, tmp_path):
    """The checkpoint of a recipe as it is before training, with weights of another seed than what starts from it."""

    def make(recipe, name="donor"):
        prepared = ready(recipe, seed=2)
        save_checkpoint(tmp_path / name, prepared.model, prepared.indexer)
        return str(tmp_path / name)

    return make


def start(recipe, run):
    prepared = ready(recipe)
    return prepared.model, take_over(prepared.model, prepared.indexer, load_donor(run))


def parts(names):
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize("kind", ["cross_stitch", "sluice"])
def test_towers_trained_alone_start_towers_in_lockstep_by_task_and_layer(recipe, donor, kind):
    run = donor(recipe)
    recipe["sharing"] = {"kind": kind, "tower": TOWER}
    recipe["tasks"] = {name: recipe["tasks"][name] for name in ("chunk", "upos")}  # in another order
    alphas = ready(recipe).model.sharing.lockstep.matrices()
    model, warm_start = start(recipe, run)
    theirs, _ = load_checkpoint(run)
    for task in ("upos", "chunk"):
        ours, towers = model.sharing.lockstep.towers[task].state_dict(), theirs.sharing.towers[task].state_dict()
        assert len(ours) == 2 * 8  # layers, each with four tensors per direction
        assert all(torch.equal(ours[name], value) for name, value in towers.items())
        head, others = model.heads[task].state_dict(), theirs.heads[task].state_dict()
        assert all(torch.equal(head[name], value) for name, value in others.items())
    assert all(torch.equal(p, theirs.get_parameter(f"encoder.{n}")) for n, p in model.encoder.named_parameters())
    assert all(torch.equal(*pair) for pair in zip(model.sharing.lockstep.matrices(), alphas, strict=True))
    assert parts(warm_start.new) == (
        {"sharing.lockstep"} if kind == "cross_stitch" else {"sharing.lockstep", "sharing.betas"}
    )
    assert all("mixers" in name or "betas" in name for name in warm_start.new)
    assert len(warm_start.taken) + len(warm_start.new) == len(list(model.parameters()))


def test_towers_in_lockstep_start_towers_alone(recipe, donor):
    recipe["sharing"] = {"kind": "cross_stitch", "tower": TOWER}
    run = donor(recipe)
    recipe["sharing"] = {"kind": "independent", "tower": TOWER}
    _, warm_start = start(recipe, run)
    assert not warm_start.new


def test_the_same_recipe_starts_with_every_parameter(recipe, donor):
    recipe["sharing"] = {"kind": "sluice", "tower": TOWER, "normalisation": "l1"}
    run = donor(recipe | {"sharing": recipe["sharing"] | {"alpha": "balanced"}})
    model, warm_start = start(recipe, run)
    theirs, _ = load_checkpoint(run)
    assert not warm_start.new
    assert all(torch.equal(p, theirs.get_parameter(name)) for name, p in model.named_parameters())
    assert str(warm_start) == f"start from {run}: {len(warm_start.taken)} parameters taken over, 0 new"


@pytest.mark.parametrize("change", ["tasks", "order", "normalisation"])
def test_alphas_that_would_mean_something_else_stay_new(recipe, donor, change):
    recipe["sharing"] = {"kind": "sluice", "tower": TOWER}
    run = donor(recipe)
    upos, chunk = recipe["tasks"]["upos"], recipe["tasks"]["chunk"]
    if change == "tasks":
        recipe["tasks"] = {"upos": upos, "phrase": chunk}
    elif change == "order":
        recipe["tasks"] = {"chunk": chunk, "upos": upos}
    else:
        recipe["sharing"]["normalisation"] = "softmax"
    alphas = ready(recipe).model.sharing.lockstep.matrices()
    model, warm_start = start(recipe, run)
    assert all(torch.equal(*pair) for pair in zip(model.sharing.lockstep.matrices(), alphas, strict=True))
    assert {name for name in warm_start.new if "mixers" in name} == {
        f"sharing.lockstep.mixers.{k}.weight" for k in (0, 1)
    }
    assert any(name.startswith("sharing.lockstep.towers.upos.") for name in warm_start.taken)


def test_a_head_of_other_labels_stays_new_and_is_named(recipe, donor):
    run = donor(recipe)
    recipe["tasks"]["chunk"]["scheme"] = "bioes"
    _, warm_start = start(recipe, run)
    assert warm_start.other_labels == ("chunk",)
    assert parts(warm_start.new) == {"heads.chunk"}
    assert parts(warm_start.taken) >= {"heads.upos", "sharing.towers"}
    assert str(warm_start).endswith("; other labels, so a new head: chunk")


def test_a_head_whose_labels_stand_in_another_order_stays_new(recipe, donor):
    run = Path(donor(recipe))
    config = json.loads((run / "config.json").read_text())
    config["tasks"][0]["labels"].reverse()
    (run / "config.json").write_text(json.dumps(config))
    _, warm_start = start(recipe, str(run))
    assert warm_start.other_labels == ("upos",)
    assert parts(warm_start.new) == {"heads.upos"}


def test_parameters_of_another_shape_stay_new(recipe, donor):
    run = donor(recipe)
    recipe["sharing"] = {"kind": "independent", "tower": TOWER | {"width": 12}}
    _, warm_start = start(recipe, run)
    assert parts(warm_start.new) == {"sharing.towers", "heads.upos", "heads.chunk"}
    assert parts(warm_start.taken) >= {"encoder.embedding", "encoder.stack"}
    assert ": sharing.towers.upos." in str(warm_start)
    assert str(warm_start).endswith(", ...")


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_other_vocabularies_are_refused_and_both_sizes_shown(recipe, donor, kind):
    recipe["encoder"]["min_count"] = 2 if kind == "words" else 1
    run = donor(recipe)
    if kind == "words":
        recipe["encoder"]["min_count"] = 1
    else:
        recipe["encoder"]["characters"] = None
    with pytest.raises(ConfigError, match=rf"start_from: {run} knows \d+ {kind}, this recipe \d+, and they are not"):
        start(recipe, run)


def test_another_kind_of_encoder_is_refused(recipe, donor, tiny_encoder):
    run = donor(recipe)
    recipe["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder)}
    with pytest.raises(ConfigError, match=r"knows \d+ words, this recipe 0"):
        start(recipe, run)


def test_blocks_of_a_transformer_are_taken_over(recipe, donor, tiny_encoder):
    recipe["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder)}
    recipe["sharing"] = {"kind": "independent", "tower": {"kind": "transformer", "layers": 1}}
    run = donor(recipe)
    recipe["sharing"] = {"kind": "sluice", "tower": {"kind": "transformer", "layers": 1}}
    _, warm_start = start(recipe, run)
    assert all("mixers" in name or "betas" in name for name in warm_start.new)


@pytest.fixture
def on_bert(recipe, tiny_encoder):
    """The recipe on a transformer of two blocks, with some sharing."""

    def make(kind, layers=None):
        recipe["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder)}
        recipe["sharing"] = {"kind": kind} | ({"tower": {"kind": "transformer", "layers": layers}} if layers else {})
        return recipe

    return make


def scrambled(run):
    """Give each parameter of a run other numbers than the pretrained encoder has, and return its model."""
    model, indexer = load_checkpoint(run)
    torch.manual_seed(5)
    for parameter in model.parameters():
        parameter.data.normal_()
    save_checkpoint(Path(run), model, indexer)
    return model


def equal(ours, theirs):
    """Whether two modules hold the same numbers under the same names."""
    ours, theirs = ours.state_dict(), theirs.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_tuned_encoder_starts_towers_block_by_block(on_bert, donor):
    run = donor(on_bert("hard"))
    theirs = scrambled(run).encoder.model.encoder.layer
    for kind in ("independent", "sluice"):
        for layers in (1, 2):
            model, warm_start = start(on_bert(kind, layers), run)
            towers = model.sharing.towers if kind == "independent" else model.sharing.lockstep.towers
            for task in ("upos", "chunk"):
                for number in range(layers):
                    assert equal(towers[task].layers[str(number)], theirs[2 - layers + number])
            if layers == 1:
                assert equal(model.encoder.model.encoder.layer[0], theirs[0])
            assert all("mixers" in name or "betas" in name for name in warm_start.new)


def test_the_norm_after_the_last_block_goes_with_it(on_bert, donor, tiny_encoder):
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vocabulary = json.loads((tiny_encoder / "config.json").read_text())["vocab_size"]
    folder = tiny_encoder.with_name("modern")
    shutil.copytree(tiny_encoder, folder, dirs_exist_ok=True)
    ModernBertModel(ModernBertConfig(vocab_size=vocabulary, pad_token_id=0, **settings)).save_pretrained(folder)
    hard, towers = (
        recipe | {"encoder": {"kind": "transformer", "pretrained": str(folder)}}
        for recipe in (dict(on_bert("hard")), dict(on_bert("independent", 1)))
    )
    run = donor(hard)
    theirs = scrambled(run)
    model, warm_start = start(towers, run)
    assert not warm_start.new
    assert equal(model.sharing.towers["chunk"].norm, theirs.encoder.model.final_norm)


@pytest.mark.parametrize(("there", "here"), [(1, 2), (2, 1)])
def test_towers_of_other_depths_meet_at_the_same_block(on_bert, donor, there, here):
    run = donor(on_bert("cross_stitch", there))
    theirs = scrambled(run)
    model, warm_start = start(on_bert("cross_stitch", here), run)
    ours, others = model.sharing.lockstep, theirs.sharing.lockstep
    for task in ("upos", "chunk"):
        assert equal(ours.towers[task].layers[str(here - 1)], others.towers[task].layers[str(there - 1)])
    assert torch.equal(ours.mixers[here - 1].weight, others.mixers[there - 1].weight)
    if here == 2:  # the lower block is in the donor's encoder
        for task in ("upos", "chunk"):
            assert equal(ours.towers[task].layers["0"], theirs.encoder.model.encoder.layer[0])
        assert warm_start.new == ("sharing.lockstep.mixers.0.weight",)
    else:  # it is in each tower, and none of them is the encoder's
        assert parts(warm_start.new) == {"encoder.model"}
        assert all(".layer.0." in name for name in warm_start.new)


def test_a_tower_layer_of_another_input_size_stays_new_whole(recipe, donor):
    recipe["encoder"]["layers"] = 0
    run = donor(recipe)
    recipe["encoder"]["characters"]["width"] = 24
    model, warm_start = start(recipe, run)
    assert {name for name in warm_start.new if name.startswith("sharing.")} == {
        f"sharing.towers.{task}.layers.0.{name}"
        for task in ("upos", "chunk")
        for name, _ in model.sharing.towers["upos"].layers["0"].named_parameters()
    }


def test_an_encoder_layer_of_another_input_size_stays_new_whole(recipe, donor):
    run = donor(recipe)
    recipe["encoder"]["characters"]["width"] = 24
    model, warm_start = start(recipe, run)
    layer = {f"encoder.stack.layers.0.{name}" for name, _ in model.encoder.stack.layers[0].named_parameters()}
    assert layer <= set(warm_start.new)


@pytest.mark.parametrize(("there", "here"), [(None, 8), (8, None)])
def test_a_head_with_another_hidden_layer_stays_new_whole(recipe, donor, there, here):
    head = recipe["tasks"]["upos"]["head"]  # its features are 8, too
    recipe["tasks"]["upos"]["head"] = head | {"hidden": there}
    run = donor(recipe)
    recipe["tasks"]["upos"]["head"] = head | {"hidden": here}
    _, warm_start = start(recipe, run)
    assert parts(warm_start.new) == {"heads.upos"}
    assert parts(warm_start.taken).isdisjoint({"heads.upos"})


def test_a_pruned_run_starts_only_what_is_connected_as_it_is(recipe, donor):
    recipe["sharing"] = {"kind": "cross_stitch", "tower": TOWER}
    run = donor(recipe)
    model, indexer = load_checkpoint(run)
    pruning = model.prune_sharing(0.5)
    save_checkpoint(Path(run), model, indexer)
    with pytest.raises(ConfigError, match=r"start_from: .* was pruned, .*; name the run from which it was pruned, or"):
        start(recipe, run)
    recipe["sharing"]["connections"] = pruning.connections
    ours, warm_start = start(recipe, run)
    assert not warm_start.new
    matrices = zip(ours.sharing.lockstep.matrices(), model.sharing.lockstep.matrices(), strict=True)
    assert all(torch.equal(*pair) for pair in matrices)


def test_nothing_taken_is_an_error_with_both_sides(recipe, donor):
    recipe["encoder"] |= {"characters": None, "layers": 0, "word_dim": 4}
    run = donor(recipe | {"tasks": {"upos": recipe["tasks"]["upos"]}})
    recipe["encoder"]["word_dim"] = 6
    recipe["tasks"].pop("upos")
    recipe["sharing"] = {"kind": "hard"}
    sizes = r"\(encoder\.embedding\.weight: \d+ x 4 there, \d+ x 6 here\)"
    with pytest.raises(ConfigError, match=rf"start_from: none of the \d+ .* {sizes}; name a run"):
        start(recipe, run)


def test_a_run_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.start_from: .*has no config\.json"):
        load_donor(str(tmp_path))


def test_nothing_is_unpickled(recipe, donor):
    run = Path(donor(recipe))
    model, _ = load_checkpoint(run)
    torch.save(model.state_dict(), run / "pytorch_model.bin")
    (run / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"training\.start_from: .*model\.safetensors"):
        load_donor(str(run))
