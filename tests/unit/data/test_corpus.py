"""Whole corpora: from a spec to datasets."""

import gzip
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from seqmtl.data import corpus as corpus_module
from seqmtl.data.corpus import Corpus, load_corpus, load_corpus_spec, resolve_corpus
from seqmtl.errors import ConfigError, DataError
from seqmtl.specs.corpora import CorpusRef, JsonlCorpus, parse_corpus


def load(tmp_path: Path, **keys: Any) -> Corpus:
    return load_corpus(parse_corpus(keys, source="test"), name="mine", folder=tmp_path)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


ROWS = [
    {"id": "a", "tokens": ["Ada", "\u200b"], "ner_tags": ["I-PER", "O"]},
    {"id": "b", "tokens": [], "ner_tags": []},
    {"id": "c", "tokens": ["😀"], "upos": ["SYM"]},
]


def test_rows_lack_layers_as_none_in_every_split(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", ROWS[:2])
    write_rows(tmp_path / "dev.jsonl", ROWS[2:])
    splits = {"train": "train.jsonl", "dev": "dev.jsonl"}
    corpus = load(tmp_path, kind="jsonl", splits=splits, schemes={"ner_tags": "auto"})
    assert corpus.layers == ("ner_tags", "upos")
    assert list(corpus.splits["train"]) == [
        {"id": "a", "tokens": ["Ada", "\u200b"], "ner_tags": ["B-PER", "O"], "upos": None},
        {"id": "b", "tokens": [], "ner_tags": [], "upos": None},
    ]
    assert list(corpus.splits["dev"]) == [{"id": "c", "tokens": ["😀"], "ner_tags": None, "upos": ["SYM"]}]


def test_the_policy_decides_about_a_broken_tag(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The O\n\nIda I-PER\nleft O\n")
    keys = {"kind": "conll", "columns": {"tokens": 0, "ner_tags": 1}, "splits": {"train": "a.txt"}}
    with pytest.raises(DataError, match=r"row '2' \(.*a\.txt:3\): 'ner_tags', word 0: 'I-PER' .*start of the sentence"):
        load(tmp_path, **keys, schemes={"ner_tags": "bio"})
    repaired = load(tmp_path, **keys, schemes={"ner_tags": "bio"}, policy="repair").splits["train"]
    assert [row["ner_tags"] for row in repaired] == [["O"], ["B-PER", "O"]]
    untouched = load(tmp_path, **keys).splits["train"]
    assert [row["ner_tags"] for row in untouched] == [["O"], ["I-PER", "O"]]


def test_splits_are_cut_from_one_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "all.jsonl", [{"id": str(n), "tokens": ["x"], "upos": ["X"]} for n in range(10)])
    parts = {"train": [0, 7], "dev": [7, 8], "test": [8, None]}
    splits = {split: {"file": "all.jsonl", "rows": rows} for split, rows in parts.items()}
    corpus = load(tmp_path, kind="jsonl", splits=splits, limit={"train": 3})
    ids = {split: [row["id"] for row in rows] for split, rows in corpus.splits.items()}
    assert ids == {"train": ["0", "1", "2"], "dev": ["7"], "test": ["8", "9"]}
    beyond = {"train": {"file": "all.jsonl", "rows": [10, None]}}
    with pytest.raises(DataError, match="corpus 'mine', split 'train': has no sentences"):
        load(tmp_path, kind="jsonl", splits=beyond)


def test_a_limit_stops_reading(tmp_path: Path) -> None:
    good = json.dumps(ROWS[0]) + "\n"
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((good * 3 + "not JSON\n").encode()))
    keys = {"kind": "jsonl", "splits": {"train": "a.jsonl.gz"}}
    assert len(list(load(tmp_path, **keys, limit={"train": 3}).splits["train"])) == 3
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:4: is not JSON"):
        load(tmp_path, **keys, limit={"train": 4})


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- O\n\n"])
def test_an_empty_split_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError, match="corpus 'mine', split 'train': has no sentences"):
        load(tmp_path, kind="conll", columns={"tokens": 0, "ner_tags": 1}, splits={"train": "a.txt"})


def test_a_contradiction_is_named_with_corpus_split_row_and_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "dev.jsonl", [ROWS[0], {"id": "z", "tokens": ["x"], "upos": []}])
    expected = r"corpus 'mine', split 'dev', row 'z' \(.*dev\.jsonl:2\): 1 tokens but 0 tags in 'upos'"
    with pytest.raises(DataError, match=expected):
        load(tmp_path, kind="jsonl", splits={"dev": "dev.jsonl"})


def test_a_scheme_for_a_layer_that_is_not_there(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(ConfigError, match=r"schemes has 'ner_tag', which it lacks; did you mean 'ner_tags'\?"):
        load(tmp_path, kind="jsonl", splits={"train": "a.jsonl"}, schemes={"ner_tag": "bio"})


def test_conllu_with_entities_in_misc(tmp_path: Path) -> None:
    blank = "\t_" * 4
    text = f"1\tAda\t_\tPROPN\tNNP{blank}\tNER=I-PER\n2\tleft\t_\tVERB\tVBD{blank}\t_\n"
    (tmp_path / "a.conllu").write_text(text)
    keys = {"misc": {"ner_tags": "NER"}, "schemes": {"ner_tags": "iob1"}, "splits": {"train": "a.conllu"}}
    corpus = load(tmp_path, kind="conllu", **keys)
    assert corpus.layers == ("upos", "xpos", "ner_tags")
    assert next(iter(corpus.splits["train"]))["ner_tags"] == ["B-PER", "O"]


def test_the_toy_corpus_has_its_sizes_and_depends_on_its_seed(tmp_path: Path) -> None:
    sizes = {"train": 20, "dev": 5}
    first, again, other = (load(tmp_path, kind="toy", sizes=sizes, seed=seed) for seed in (1, 1, 2))
    assert {split: len(list(rows)) for split, rows in first.splits.items()} == sizes
    assert list(first.splits["train"]) == list(again.splits["train"]) != list(other.splits["train"])


def test_paths_count_from_the_yaml_file_and_overrides_from_the_recipe(tmp_path: Path) -> None:
    own, recipe = tmp_path / "own", tmp_path / "recipes"
    for folder in (own, recipe / "data"):
        folder.mkdir(parents=True)
        write_rows(folder / "a.jsonl", [ROWS[0] | {"id": folder.name}])
    (own / "c.yaml").write_text("kind: jsonl\nsplits: {train: a.jsonl}\nlimit: {train: 9}\n")

    def first_id(**keys: Any) -> str:
        spec, folder = resolve_corpus(CorpusRef.parse(keys, source="test"), folder=recipe)
        return next(iter(load_corpus(spec, name="c", folder=folder).splits["train"]))["id"]

    assert first_id(use="../own/c.yaml") == "own"
    assert first_id(use="../own/c.yaml", path="data") == "data"
    assert first_id(use=str(own / "c.yaml"), path=str(recipe / "data")) == "data"


def test_overrides_merge_mappings_and_replace_the_rest(tmp_path: Path) -> None:
    keys = {"use": "ewt", "limit": {"train": 4000}, "splits": {"dev": "other.jsonl"}, "empty_when_absent": []}
    spec, _ = resolve_corpus(CorpusRef.parse(keys, source="test"), folder=tmp_path)
    assert isinstance(spec, JsonlCorpus)
    assert spec.limit == {"train": 4000}
    assert spec.splits == {"train": "train.jsonl.gz", "dev": "other.jsonl", "test": "test.jsonl.gz"}
    assert spec.empty_when_absent == ()
    with pytest.raises(ConfigError, match=r"ewt\.yaml: limits: unknown key; did you mean 'limit'\?"):
        resolve_corpus(CorpusRef.parse({"use": "ewt", "limits": {}}, source="test"), folder=tmp_path)


def test_a_whole_corpus_resolves_to_itself(tmp_path: Path) -> None:
    spec = parse_corpus({"kind": "toy"}, source="test")
    assert resolve_corpus(spec, folder=tmp_path) == (spec, tmp_path)


def test_ewt_has_the_documented_counts(shared_data: Path) -> None:
    spec, folder = load_corpus_spec("ewt")
    assert (folder / "../../../shared/data").resolve() == shared_data.resolve()
    corpus = load_corpus(spec, name="ewt", folder=folder)
    assert corpus.layers == ("upos", "xpos", "chunk_tags", "ner_tags", "srl_frames")
    counts = {"train": [12_524, 204_207, 112_370, 6_996, 35_791], "dev": [1_968, 24_892, 13_725, 957, 4_397]}
    counts["test"] = [2_058, 24_944, 13_576, 1_078, 4_250]
    assert {split: list(_counts(rows)) for split, rows in corpus.splits.items()} == counts


def _counts(rows: Any) -> Iterator[int]:
    """Sentences, words, chunks, entities, frames."""
    yield len(rows)
    yield sum(map(len, rows["tokens"]))
    for layer in ("chunk_tags", "ner_tags"):
        yield sum(tag.startswith("B-") for tags in rows[layer] for tag in tags)
    yield sum(map(len, rows["srl_frames"]))


def test_wikigold_has_the_published_counts(shared_data: Path) -> None:
    spec, folder = load_corpus_spec("wikigold")
    corpus = load_corpus(spec, name="wikigold", folder=folder)
    rows = [row for split in corpus.splits.values() for row in split]
    assert {split: len(list(found)) for split, found in corpus.splits.items()} == {
        "train": 1200,
        "dev": 240,
        "test": 256,
    }
    assert sum(len(row["tokens"]) for row in rows) == 39_007  # Balasuriya et al. 2009
    assert sum(tag.startswith("B-") for row in rows for tag in row["ner_tags"]) == 3_558


def test_a_stream_of_files_is_not_read_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def endless(path: Path, *, layers: tuple[str, ...] | None) -> Iterator[corpus_module.Record]:
        for number in count():
            read.append(number)
            yield corpus_module.Record({"id": str(number), "tokens": ["x"], "upos": ["X"]}, str(path))

    monkeypatch.setattr(corpus_module, "read_jsonl", endless)
    load(tmp_path, kind="jsonl", splits={"train": "a.jsonl"}, limit={"train": 5})
    assert len(read) == 5
