import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.library import find, read_mapping, shipped


def test_shipped_files_are_found_by_name():
    assert find("recipes", "quickstart").is_file()
    assert find("corpora", "toy").parent == shipped("corpora")


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ConfigError, match="no file 'quickstrat' among the shipped recipes; did you mean 'quickstart'"):
        find("recipes", "quickstrat")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a: [1, 2", "is not valid YAML.*line 1"),
        (b"- 1\n- 2\n", "must hold a mapping of keys, but holds list"),
        (b"", "must hold a mapping of keys, but holds NoneType"),
        (b"a: \xff", "cannot be read"),
    ],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, content, complaint):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"(?s)x\.yaml: {complaint}"):
        read_mapping(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_mapping(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping(tmp_path)


def test_nothing_in_yaml_is_executed(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_mapping(path)
