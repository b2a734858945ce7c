import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seqmtl.errors import ConfigError
from seqmtl.specs.library import shipped
from seqmtl.specs.recipe import RESERVED_NAMES, RecipeSpec, load_recipe, recipe_schema, set_key


def parse(recipe):
    return RecipeSpec.parse(recipe, source="recipe")


@pytest.mark.parametrize("path", sorted(shipped("recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_by_name_and_by_file(path):
    by_name, folder = load_recipe(path.stem)
    assert (by_name, folder) == load_recipe(str(path))
    assert folder == path.parent
    assert by_name.name == path.stem


def test_ewt_plain_is_ewt_hard_without_what_was_chosen_for_chunks():
    best, plain = (
        load_recipe(name)[0].model_dump(exclude={"name", "description"}) for name in ("ewt_hard", "ewt_plain")
    )
    for task in ("chunk", "ner"):
        assert (best["tasks"][task]["scheme"], best["tasks"][task]["head"].pop("bilstm")) == ("bioes", 256)
        assert (plain["tasks"][task]["scheme"], plain["tasks"][task]["head"].pop("bilstm")) == ("bio", None)
        for recipe in (best, plain):
            del recipe["tasks"][task]["scheme"], recipe["tasks"][task]["unseen_labels"]
    for dropout, (chosen, usual) in {"dropout": (0.0, 0.1), "inner_dropout": (0.0, None)}.items():
        assert (best["encoder"].pop(dropout), plain["encoder"].pop(dropout)) == (chosen, usual)
    assert best == plain


COMBINATIONS = {  # Meyerson and Miikkulainen 2018: initialisations, updates
    "i": ({"independent"}, set()),
    "f": ({"independent", "freeze"}, set()),
    "p": ({"independent"}, {"perturb"}),
    "d": ({"independent", "dropout"}, set()),
    "fp": ({"independent", "freeze"}, {"perturb"}),
    "gp": ({"independent"}, {"greedy", "perturb"}),
    "gd": ({"independent", "dropout"}, {"greedy"}),
    "hgd": ({"independent", "dropout"}, {"greedy", "hyperperturb"}),
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_named_combinations_of_pseudo_task_augmentation(name):
    recipe = load_recipe(f"pta_{name}")[0]
    assert recipe.pseudo_tasks is not None
    assert (set(recipe.pseudo_tasks.init), set(recipe.pseudo_tasks.update)) == COMBINATIONS[name]
    for prefix, base in (("ewt_pta", "ewt_plain"), ("ewt_bilstm_pta", "ewt_bilstm_hard")):
        if name in ("i", "f", "fp", "gp", "hgd"):  # to be compared with one decoder
            spec = load_recipe(f"{prefix}_{name}")[0]
            changes = recipe.pseudo_tasks.model_dump(include={"init", "update", "decoders"})
            assert spec.pseudo_tasks is not None
            assert spec.pseudo_tasks.model_dump(include={"init", "update", "decoders"}) == changes
            other = {"name", "description", "pseudo_tasks"}
            for plain in (base, f"{prefix}_one"):
                assert spec.model_dump(exclude=other) == load_recipe(plain)[0].model_dump(exclude=other)


def test_decoders_that_are_moved_are_not_anchored(tiny):
    tiny["sharing"] = {"kind": "jmt", "tower": {"kind": "bilstm"}, "successive_regularisation": {}}
    tiny["mixture"]["schedule"] = "sequential"
    tiny["pseudo_tasks"] = {"decoders": 2}
    parse(tiny)
    tiny["pseudo_tasks"]["update"] = ["perturb"]
    with pytest.raises(ConfigError, match=r"pseudo_tasks.update: .*successive_regularisation"):
        parse(tiny)


def test_a_dumped_recipe_is_the_same_recipe(tiny):
    spec = parse(tiny)
    assert parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_there_must_be_tasks(tiny):
    with pytest.raises(ConfigError, match="tasks: got"):
        parse(tiny | {"tasks": {}})


@pytest.mark.parametrize("name", ["Upos", "1st", "a.b", "a-b", "", "_a", "ner "])
def test_a_task_name_has_lower_case_letters_digits_and_underscores(tiny, name):
    with pytest.raises(ConfigError, match="cannot name a task"):
        parse(tiny | {"tasks": {name: tiny["tasks"]["upos"]}})


def test_every_name_that_torch_needs_is_reserved_and_the_others_work(tiny):
    taken = {name for name in dir(nn.ModuleDict()) if re.fullmatch(r"[a-z][a-z0-9_]*", name)}
    assert taken <= RESERVED_NAMES
    for name in ("type", "train", "keys", "forward", "to"):
        with pytest.raises(ConfigError, match=f"'{name}' is reserved"):
            parse(tiny | {"tasks": {name: tiny["tasks"]["upos"]}})
    nn.ModuleDict({name: nn.Identity() for name in ("upos", "ner", "weight", "tasks")})


def test_the_predicate_task_of_roles_must_exist(tiny):
    tiny["tasks"]["srl"]["predicates"] = "predicates"
    with pytest.raises(ConfigError, match=r"tasks\.srl\.predicates: 'predicates' is not a task.*'predicate'"):
        parse(tiny)
    tiny["tasks"]["srl"]["predicates"] = "upos"
    with pytest.raises(ConfigError, match="'upos' is not a task with a predicate head"):
        parse(tiny)


def test_what_is_compiled_is_a_transformer(tiny):
    tiny["training"]["compiled"] = True
    with pytest.raises(ConfigError, match=r"training\.compiled: .*encoder\.kind is 'bilstm'; leave it out"):
        parse(tiny)
    tiny["encoder"] = {"kind": "transformer", "pretrained": "some/encoder"}
    assert parse(tiny).training.compiled


def test_an_adversary_needs_batches_of_more_than_one_task(tiny):
    tower = {"kind": "bilstm", "width": 8}
    tiny["sharing"] = {"kind": "shared_private", "shared": tower, "private": tower, "adversary": {}}
    assert parse(tiny).sharing.adversary.weight == 0.05
    tiny["mixture"] = {"schedule": "sequential"}
    with pytest.raises(ConfigError, match=r"sharing\.adversary: .* mixture\.schedule is 'sequential'.*'interleaved'"):
        parse(tiny)
    del tiny["sharing"]["adversary"]
    assert parse(tiny).mixture.schedule == "sequential"


def test_an_unknown_key_of_a_recipe_offers_the_nearest(tiny):
    with pytest.raises(ConfigError, match="mixtur: unknown key; did you mean 'mixture'"):
        parse(tiny | {"mixtur": {}})


def test_overrides_change_the_recipe_that_is_read(tiny, write_recipe):
    path = write_recipe(tiny)
    spec, folder = load_recipe(str(path), overrides=["training.epochs=7", "corpora.toy.sizes={train: 5}"])
    assert spec.training.epochs == 7
    assert spec.corpora["toy"].sizes == {"train": 5}
    assert folder == path.parent
    assert yaml.safe_load(path.read_text()) == tiny  # the file stays as it is


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: there is no such file"):
        load_recipe(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        load_recipe("quick_start")


def test_a_folder_does_not_hide_the_shipped_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert load_recipe("quickstart")[0].name == "quickstart"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("training.epochs", "expected KEY.PATH=VALUE"),
        ("=3", "expected KEY.PATH=VALUE"),
        ("name.first=3", "name is 'tiny', which has no keys"),
        ("training.epochs=[1", "is not valid YAML"),
    ],
)
def test_a_malformed_override_says_what_was_expected(tiny, override, complaint):
    with pytest.raises(ConfigError, match=complaint):
        set_key(tiny, override)


KEYS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4)
VALUES = st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3))


@given(keys=KEYS, value=VALUES)
def test_an_override_can_be_read_back_at_its_path(keys, value):
    data = {"other": 1}
    set_key(data, f"{'.'.join(keys)}={json.dumps(value)}")
    assert data.pop("other") == 1
    for key in keys:
        assert list(data) == [key]
        data = data[key]
    assert data == value


def test_an_override_keeps_its_neighbours():
    data = {"training": {"epochs": 3, "seed": 1}}
    set_key(data, "training.epochs=a=b")  # only the first '=' parts key and value
    assert data == {"training": {"epochs": "a=b", "seed": 1}}


def test_the_schema_knows_every_key():
    schema = recipe_schema()
    assert set(schema["properties"]) == {"base", *RecipeSpec.model_fields}
    assert schema["additionalProperties"] is False
    assert set(schema["then"]["required"]) == {"name", "tasks", "encoder"}  # unless there is a base
    json.dumps(schema)
