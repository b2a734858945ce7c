"""Corpus specs: what a person may write, and what an error says."""

from pathlib import Path

import pytest
from pydantic import Field

from seqmtl.errors import ConfigError
from seqmtl.specs.base import Spec
from seqmtl.specs.corpora import ConllCorpus, CorpusEntry, CorpusRef, HubCorpus, JsonlCorpus, ToyCorpus, parse_corpus
from seqmtl.specs.library import find, read_mapping, shipped

JSONL = {"kind": "jsonl", "splits": {"train": "train.jsonl"}}
HUB = {"kind": "hub", "dataset": "a/b", "columns": {"tokens": "words", "ner_tags": "ner"}, "splits": {"train": "train"}}


class Recipe(Spec):
    corpora: dict[str, CorpusEntry] = Field(default={})


def test_each_kind_becomes_its_own_spec() -> None:
    conll = {"kind": "conll", "columns": {"tokens": 0, "ner_tags": -1}, "splits": {"train": "a.txt"}}
    assert isinstance(parse_corpus(JSONL, source="x"), JsonlCorpus)
    assert isinstance(parse_corpus(conll, source="x"), ConllCorpus)
    assert isinstance(parse_corpus(HUB, source="x"), HubCorpus)
    assert isinstance(parse_corpus({"kind": "toy"}, source="x"), ToyCorpus)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"splits": {}}, "needs the key 'kind'"),
        ({"kind": "jsnol"}, "kind: got 'jsnol'; did you mean 'jsonl'?"),
        (JSONL | {"schems": {}}, "schems: unknown key; did you mean 'schemes'?"),
        (JSONL | {"schemes": {"ner_tags": "iob3"}}, "schemes.ner_tags: got 'iob3'"),
        (
            JSONL | {"limit": {"trian": 3}},
            "the split 'trian', which the corpus lacks; did you mean 'train'?",
        ),
        (JSONL | {"limit": {"train": 0}}, "limit.train: got 0"),
        (JSONL | {"splits": {}}, "needs at least one split"),
        (
            JSONL | {"splits": {"validation": "a"}},
            "splits.validation: 'validation' is not a split of seqmtl; did you mean 'dev'?",
        ),
        (HUB | {"splits": {"trian": "train"}}, "splits.trian: 'trian' is not a split of seqmtl; did you mean 'train'?"),
        (
            {"kind": "toy", "sizes": {"x": 3}},
            "sizes.x: 'x' is not a split of seqmtl; allowed: dev, test, train",
        ),
        (JSONL | {"splits": {"train": {"file": "a", "rows": [5, 5]}}}, "got [5, 5]"),
        (JSONL | {"schemes": {"srl_frames": "bio"}}, "srl_frames is always BIO"),
        (JSONL | {"empty_when_absent": ["ner_tags"]}, "srl_frames"),
        ({"kind": "conll", "columns": {"ner_tags": 1}, "splits": {"train": "a"}}, "where 'tokens' is"),
        ({"kind": "conll", "columns": {"tokens": 1}, "splits": {"train": "a"}}, "no layer beside 'tokens'"),
        (HUB | {"names": {"ner": ["O"]}}, "names has 'ner', which is not among the columns"),
        (HUB | {"skip_words": {"ner_tags": "_"}, "frames_from": {}}, "cannot stand together"),
        (HUB | {"streaming": True, "schemes": {"ner_tags": "auto"}}, "name the scheme"),
    ],
)
def test_a_bad_key_is_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_corpus(data, source="my.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("my.yaml: ")


def test_a_recipe_holds_corpora_and_references() -> None:
    recipe = Recipe.parse(
        {"corpora": {"mine": JSONL, "ewt": {"use": "ewt", "limit": {"train": 4000}}}}, source="r.yaml"
    )
    assert isinstance(recipe.corpora["mine"], JsonlCorpus)
    reference = recipe.corpora["ewt"]
    assert isinstance(reference, CorpusRef)
    assert (reference.use, reference.overrides()) == ("ewt", {"limit": {"train": 4000}})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (JSONL | {"polic": "error"}, "corpora.mine.polic: unknown key; did you mean 'policy'?"),
        ({"use": 3}, "corpora.mine.use: got 3"),
        ({"splits": {}}, "corpora.mine: needs the key 'kind'"),
        ({"kind": "connl"}, "corpora.mine.kind: got 'connl'; did you mean 'conll'?"),
    ],
)
def test_an_error_in_a_recipe_names_its_path(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe.parse({"corpora": {"mine": entry}}, source="r.yaml")
    assert message in str(caught.value)


def test_a_recipe_survives_a_round_trip_through_json() -> None:
    recipe = Recipe.parse({"corpora": {"mine": JSONL, "ewt": {"use": "ewt", "policy": "repair"}}}, source="r.yaml")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_the_json_schema_of_a_recipe_knows_every_kind() -> None:
    definitions = Recipe.model_json_schema()["$defs"]
    assert {"JsonlCorpus", "ConllCorpus", "ConlluCorpus", "HubCorpus", "ToyCorpus", "CorpusRef"} <= set(definitions)


SHIPPED = sorted(file.stem for file in shipped("corpora").glob("*.yaml"))


def test_the_documented_corpora_are_shipped() -> None:
    expected = {"conll2000", "conll2003", "conll2012", "ewt", "ontonotes5", "toy", "ud_ewt", "wikigold", "wnut_17"}
    assert expected <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_corpus_parses_and_says_what_it_is(name: str) -> None:
    path = find("corpora", name)
    spec = parse_corpus(read_mapping(path), source=path)
    assert spec.description
    assert spec.licence
    assert {"train", "dev", "test"} == set(spec.split_names())
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert isinstance(spec, HubCorpus) <= (getattr(spec, "revision", None) == "refs/convert/parquet")


def test_an_unknown_shipped_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no file 'conll2013' among the shipped corpora; did you mean 'conll20"):
        find("corpora", "conll2013")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n", "must hold a mapping of keys, but holds list"),
        (b"a: [1\nb: 2\n", "line 2"),
        (b"a: \xe9\n", "cannot be read"),
    ],
)
def test_a_broken_yaml_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_mapping(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError, match="no such file"):
        read_mapping(tmp_path / "absent.yaml")
