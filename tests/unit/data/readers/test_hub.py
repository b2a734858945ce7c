"""Hub corpora, tested on local folders: ``datasets`` reads them as it reads the hub's."""

from pathlib import Path
from typing import Any

import pytest
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    List,
    Value,
    are_progress_bars_disabled,
)

from seqmtl.data.corpus import load_corpus, resolve_corpus, rows_from_dataset
from seqmtl.errors import DataError
from seqmtl.specs.corpora import CorpusRef, HubCorpus, parse_corpus

TAGS = ["O", "B-PER", "I-PER"]
ROWS = [
    {"key": 7, "words": ["Ada", "King", "left"], "ner": [1, 2, 0]},
    {"key": 8, "words": [], "ner": []},
    {"key": 9, "words": ["שלום"], "ner": [0]},
]
NAMED = Features({"key": Value("int32"), "words": List(Value("string")), "ner": List(ClassLabel(names=TAGS))})
COLUMNS = {"id": "key", "tokens": "words", "ner_tags": "ner"}
CANONICAL = [
    {"id": "7", "tokens": ["Ada", "King", "left"], "ner_tags": ["B-PER", "I-PER", "O"]},
    {"id": "8", "tokens": [], "ner_tags": []},
    {"id": "9", "tokens": ["שלום"], "ner_tags": ["O"]},
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def hub(**keys: Any) -> HubCorpus:
    base = {"kind": "hub", "dataset": "./data", "columns": COLUMNS, "splits": {"train": "train"}}
    spec = parse_corpus(base | keys, source="test")
    assert isinstance(spec, HubCorpus)
    return spec


def parquet(folder: Path, rows: list[dict[str, Any]], features: Features, split: str = "train") -> None:
    """Write a dataset as the hub's parquet branches lay it out: <config>/<split>/0000.parquet."""
    (folder / split).mkdir(parents=True)
    Dataset.from_list(rows, features=features).to_parquet(folder / split / "0000.parquet")


def load(tmp_path: Path, spec: HubCorpus) -> list[dict[str, Any]]:
    return list(load_corpus(spec, name="c", folder=tmp_path).splits["train"])


def test_class_labels_become_strings(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "default", ROWS, NAMED)
    assert load(tmp_path, hub(schemes={"ner_tags": "bio"})) == CANONICAL
    without_id = hub(columns={"tokens": "words", "ner_tags": "ner"})
    assert [row["id"] for row in load(tmp_path, without_id)] == ["1", "2", "3"]


def test_a_config_of_a_parquet_branch_is_a_folder(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "en_ewt", ROWS, NAMED)
    parquet(tmp_path / "data" / "de_gsd", ROWS[2:], NAMED)
    assert load(tmp_path, hub(folder="en_ewt")) == CANONICAL
    assert load(tmp_path, hub(folder="de_gsd")) == CANONICAL[2:]


def test_local_data_shows_no_progress_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parquet(tmp_path / "data" / "default", ROWS, NAMED)
    capfd.readouterr()
    load(tmp_path, hub())
    assert capfd.readouterr() == ("", "")
    assert not are_progress_bars_disabled(), "the reader must leave the setting as it was"


def test_saved_datasets_are_read(tmp_path: Path) -> None:
    dataset = Dataset.from_list(ROWS, features=NAMED)
    dataset.save_to_disk(tmp_path / "one")
    DatasetDict({"train": dataset}).save_to_disk(tmp_path / "many")
    assert load(tmp_path, hub(dataset="./one")) == CANONICAL
    assert load(tmp_path, hub(dataset=str(tmp_path / "many"))) == CANONICAL
    with pytest.raises(DataError, match=r"has no split 'trian'; did you mean 'train'\?"):
        load(tmp_path, hub(dataset="./many", splits={"train": "trian"}))


def test_slices_of_a_split_and_limits(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "default", ROWS, NAMED)
    spec = hub(splits={"train": "train[:67%]", "dev": "train[67%:]"}, limit={"train": 1})
    corpus = load_corpus(spec, name="c", folder=tmp_path)
    assert {split: list(rows) for split, rows in corpus.splits.items()} == {
        "train": CANONICAL[:1],
        "dev": CANONICAL[2:],
    }


@pytest.mark.parametrize("features", [NAMED, Features(NAMED | {"ner": List(Value("int64"))})])
def test_a_stream_yields_the_same_rows_again_and_again(tmp_path: Path, features: Features) -> None:
    parquet(tmp_path / "data" / "default", ROWS, features)
    spec = hub(streaming=True, limit={"train": 2}, names={"ner_tags": TAGS}, schemes={"ner_tags": "bio"})
    corpus = load_corpus(spec, name="c", folder=tmp_path)
    stream = corpus.splits["train"]
    assert isinstance(stream, IterableDataset)
    assert list(stream) == list(stream) == CANONICAL[:2]
    assert corpus.layers == ("ner_tags",)
    assert stream.column_names == ["id", "tokens", "ner_tags"]


def test_integers_need_names(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "default", ROWS, Features(NAMED | {"ner": List(Value("int64"))}))
    assert load(tmp_path, hub(names={"ner_tags": TAGS})) == CANONICAL
    with pytest.raises(DataError, match=r"row '7': 'ner_tags' has the integer 1 and no names; add 'names"):
        load(tmp_path, hub())
    with pytest.raises(DataError, match="row '7': 'ner_tags' has the integer 2, but names only for 0 to 1"):
        load(tmp_path, hub(names={"ner_tags": TAGS[:2]}))


def test_string_tags_are_taken_as_they_are() -> None:
    dataset = Dataset.from_list([{"words": ["Ada"], "ner": ["I-PER"]}])
    columns = {"tokens": "words", "ner_tags": "ner"}
    assert rows_from_dataset(dataset, columns=columns)[0]["ner_tags"] == ["I-PER"]
    assert rows_from_dataset(dataset, columns=columns, schemes={"ner_tags": "auto"})[0]["ner_tags"] == ["B-PER"]
    with pytest.raises(DataError, match=r"corpus 'live', split 'rows', row '1' .*'I-PER' may not stand at the start"):
        rows_from_dataset(dataset, columns=columns, schemes={"ner_tags": "bio"}, name="live")


def test_rows_of_a_live_dataset() -> None:
    dataset = Dataset.from_list(ROWS, features=NAMED)
    assert list(rows_from_dataset(dataset, columns=COLUMNS)) == CANONICAL
    with pytest.raises(DataError, match=r"dataset: has no column 'nre'; did you mean 'ner'\?"):
        rows_from_dataset(dataset, columns={"tokens": "words", "ner_tags": "nre"})


def test_a_missing_id_column_is_named() -> None:
    with pytest.raises(DataError, match=r"has no column 'kye'; did you mean 'key'\?"):
        rows_from_dataset(Dataset.from_list(ROWS, features=NAMED), columns=COLUMNS | {"id": "kye"})


def test_multiword_tokens_are_left_out(tmp_path: Path) -> None:
    upos = ClassLabel(names=["PRON", "AUX", "_", "PART"])
    features = Features({"tokens": List(Value("string")), "upos": List(upos), "xpos": List(Value("string"))})
    rows = [{"tokens": ["I", "don't", "do", "n't"], "upos": [0, 2, 1, 3], "xpos": ["PRP", None, "VB", "RB"]}]
    parquet(tmp_path / "data" / "en_ewt", rows, features)
    columns = {name: name for name in features}
    (row,) = load(tmp_path, hub(columns=columns, skip_words={"upos": "_"}))
    assert row["tokens"] == ["I", "do", "n't"]
    assert (row["upos"], row["xpos"]) == (["PRON", "AUX", "PART"], ["PRP", "VB", "RB"])


SENTENCE = {
    "words": ["She", "may", "be", "right", "."],
    "pos_tags": [0, 1, 1, 0, 0],
    "predicate_lemmas": [None, "may", "be", None, None],
    "predicate_framenet_ids": [None, None, "01", None, None],
    "srl_frames": [
        {"verb": "may", "frames": ["O", "B-V", "O", "O", "O"]},
        {"verb": "be", "frames": ["B-ARG1", "B-ARGM-MOD", "B-V", "B-ARG2", "O"]},
    ],
}
DOCUMENT_FEATURES = Features(
    {
        "document_id": Value("string"),
        "sentences": [
            {
                "words": List(Value("string")),
                "pos_tags": List(ClassLabel(names=["X", "VB"])),
                "predicate_lemmas": List(Value("string")),
                "predicate_framenet_ids": List(Value("string")),
                "srl_frames": [{"verb": Value("string"), "frames": List(Value("string"))}],
            }
        ],
    }
)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_shipped_conll2012_reads_documents_with_frames(tmp_path: Path, streaming: bool) -> None:
    document = {"document_id": "d", "sentences": [SENTENCE, SENTENCE | {"srl_frames": []}]}
    parquet(tmp_path / "data" / "english_v12", [document], DOCUMENT_FEATURES)
    overrides = {"dataset": "./data", "revision": None, "splits": {"train": "train"}, "streaming": streaming}
    reference = CorpusRef.parse({"use": "conll2012"} | overrides, source="test")
    shipped, folder = resolve_corpus(reference, folder=tmp_path)
    assert isinstance(shipped, HubCorpus)
    columns = {key: value for key, value in shipped.columns.items() if key != "ner_tags"}
    spec = shipped.model_copy(update={"columns": columns, "schemes": {}, "splits": {"train": "train"}})
    first, second = load_corpus(spec, name="conll2012", folder=folder).splits["train"]
    assert (first["id"], second["id"]) == ("d-1", "d-2")
    assert first["xpos"] == ["X", "VB", "VB", "X", "X"]
    assert first["srl_frames"] == [
        {"predicate": 1, "sense": "may", "tags": ["O", "B-V", "O", "O", "O"]},
        {"predicate": 2, "sense": "be.01", "tags": ["B-ARG1", "B-ARGM-MOD", "B-V", "B-ARG2", "O"]},
    ]
    assert second["srl_frames"] == []


def test_what_cannot_be_loaded_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dataset '\./absent' \(split train\) cannot be loaded: .*refs/convert/parquet"
    ):
        load(tmp_path, hub(dataset="./absent"))
    parquet(tmp_path / "data" / "default", ROWS, NAMED)
    with pytest.raises(DataError, match=r"\(config other, split train\) cannot be loaded"):
        load(tmp_path, hub(config="other"))
    with pytest.raises(DataError, match=r"\(split validation\) cannot be loaded"):
        load(tmp_path, hub(splits={"train": "validation"}))


def test_a_loading_script_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.py").write_text("raise SystemExit('the script was run')")
    with pytest.raises(DataError, match="scripts are no longer supported"):
        load(tmp_path, hub())
