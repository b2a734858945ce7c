import pytest
import yaml

from seqmtl.errors import ConfigError
from seqmtl.specs.inheritance import merged, read_recipe
from seqmtl.specs.recipe import load_recipe


@pytest.fixture
def write(tmp_path):
    def one(name, content):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return one


def test_a_child_is_its_base_with_its_changes(tiny, write):
    write("tiny", tiny | {"description": "of the base"})
    changes = {"tasks": {"srl": {"weight": 3.0}}, "training": {"epochs": 5}, "sharing": {"kind": "hard"}}
    child, folder = load_recipe(str(write("child", {"base": "tiny", "name": "child"} | changes)))
    expected = tiny | {"name": "child", "sharing": {"kind": "hard"}}
    expected["tasks"]["srl"]["weight"] = 3.0
    expected["training"]["epochs"] = 5
    assert (child, folder) == load_recipe(str(write("whole", expected)))


def test_overrides_come_last(tiny, write):
    write("tiny", tiny)
    path = write("child", {"base": "tiny", "name": "child", "training": {"epochs": 5}})
    assert load_recipe(str(path), overrides=["training.epochs=7"])[0].training.epochs == 7


def test_a_base_may_have_a_base(write):
    write("first", {"name": "first", "a": 1, "b": 1, "c": 1})
    write("second", {"base": "first", "name": "second", "b": 2, "c": 2})
    assert read_recipe(write("third", {"base": "second", "name": "third", "c": 3})) == {
        "name": "third",
        "a": 1,
        "b": 2,
        "c": 3,
    }


def test_a_shipped_recipe_can_be_a_base_and_one_beside_goes_before_it(tiny, write):
    path = write("child", {"base": "quickstart", "name": "child"})
    assert load_recipe(str(path))[0].tasks == load_recipe("quickstart")[0].tasks
    write("quickstart", tiny)
    assert load_recipe(str(path))[0].encoder.width == tiny["encoder"]["width"]


def test_a_child_needs_a_name_of_its_own(tiny, write):
    write("tiny", tiny)
    with pytest.raises(ConfigError, match=r"child\.yaml: name: this key is required"):
        load_recipe(str(write("child", {"base": "tiny"})))


@pytest.mark.parametrize(
    ("base", "change", "result"),
    [
        ({"kind": "sluice", "subspaces": 4}, {"kind": "hard"}, {"kind": "hard"}),
        ({"kind": "sluice", "subspaces": 4}, {"kind": "sluice", "beta": "last"}, None),
        ({"kind": "sluice", "subspaces": 4}, {"beta": "last"}, None),
        ({"use": "ewt", "limit": {"train": 5}}, {"use": "toy"}, {"use": "toy"}),
        ({"use": "ewt", "limit": {"train": 5}}, {"kind": "toy"}, {"kind": "toy"}),
        ({"width": 5}, {"kind": "cnn"}, {"kind": "cnn"}),  # whatever the default kind was
        ({"kind": "cnn"}, None, None),
        (None, {"kind": "cnn"}, {"kind": "cnn"}),
    ],
)
def test_a_mapping_of_another_kind_replaces_the_whole(base, change, result):
    if result is None:
        result = None if change is None else base | change
    assert merged({"x": base, "y": 1}, {"x": change}) == {"x": result, "y": 1}


def test_what_is_merged_is_left_as_it_was():
    base, changes = {"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}
    assert merged(base, changes) == {"a": {"b": {"c": 1, "d": 2}}}
    assert (base, changes) == ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}})


def test_a_circle_of_bases_is_shown(write):
    write("one", {"base": "two"})
    write("two", {"base": "one"})
    with pytest.raises(ConfigError, match=r"two\.yaml: base: leads back.*one -> two -> one; one of them"):
        read_recipe(write("zero", {"base": "one"}))
    with pytest.raises(ConfigError, match="self -> self"):
        read_recipe(write("self", {"base": "self"}))


def test_a_base_that_is_not_there_is_named(write):
    path = write("child", {"base": "quickstrat"})
    with pytest.raises(ConfigError, match=r"child\.yaml: base: no quickstrat\.yaml.*did you mean 'quickstart'"):
        read_recipe(path)


@pytest.mark.parametrize("base", ["../tiny", "tiny.yaml", "", 3, None, ["tiny"]])
def test_a_base_is_a_name_without_folder_and_ending(tiny, write, base):
    write("tiny", tiny)
    with pytest.raises(ConfigError, match=r"child\.yaml: base: got .*without folder and ending"):
        read_recipe(write("child", {"base": base}))
