"""Datasets of the hub, and local folders that ``datasets`` reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset
from datasets.exceptions import DatasetsError

from seqmtl.data.readers.record import Record
from seqmtl.data.rows import FRAMES, ID, TOKENS, Row
from seqmtl.errors import DataError, nearest
from seqmtl.specs.corpora import FramesFrom, HubCorpus

_REMEDY = (
    "check dataset, revision, config, folder and split; without network it must be in the cache already; "
    "a dataset that needs a loading script is read from its parquet branch: `revision: refs/convert/parquet`, "
    "with its config as `folder`"
)


@dataclass(frozen=True)
class ColumnMap:
    """How the columns of a dataset become a canonical row; the fields are the keys of ``HubCorpus``."""

    columns: Mapping[str, str]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sentences: str | None = None
    frames_from: FramesFrom | None = None
    skip_words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: HubCorpus) -> "ColumnMap":
        """The column map of a spec."""
        return cls(spec.columns, spec.names, spec.sentences, spec.frames_from, spec.skip_words)

    def layers(self) -> tuple[str, ...]:
        """The layers that its rows have."""
        frames = (FRAMES,) if self.frames_from else ()
        return tuple(name for name in self.columns if name not in (ID, TOKENS)) + frames

    def needed(self) -> list[str]:
        """The columns that it reads from a sentence."""
        frames = self.frames_from
        extra = [frames.column, frames.lemmas, frames.rolesets] if frames else []
        words = [column for name, column in self.columns.items() if name != ID]
        return words + [column for column in extra if column]

    def needed_of_row(self) -> list[str]:
        """The columns that it reads from a row, which is a sentence or a document."""
        ids = [self.columns[ID]] if ID in self.columns else []
        return ids + (self.needed() if self.sentences is None else [self.sentences])


def open_hub(spec: HubCorpus, *, split: str, folder: Path) -> Dataset | IterableDataset:
    """Load one split; no loading script is run, and a local folder shows no progress bar.

    Raises:
        DataError: the dataset, its revision, config or split cannot be loaded.
    """
    try:
        if not spec.is_local():
            return _load(spec, spec.dataset, split)
        path = (folder / Path(spec.dataset).expanduser()).resolve()
        with _no_progress_bars():
            return _from_disk(path, spec.splits[split]) if _is_saved(path) else _load(spec, str(path), split)
    except (OSError, ValueError, RuntimeError, KeyError, DatasetsError) as error:
        asked = {"revision": spec.revision, "config": spec.config, "folder": spec.folder, "split": spec.splits[split]}
        shown = ", ".join(f"{key} {value}" for key, value in asked.items() if value is not None)
        raise DataError(f"dataset {spec.dataset!r} ({shown}) cannot be loaded: {error}; {_REMEDY}") from None


def tag_names(
    dataset: Dataset | IterableDataset, *, columns: ColumnMap, source: str
) -> dict[str, Sequence[str] | None]:
    """All tags of each token-level layer, in the order of their integers; None where neither side names them.

    Raises:
        DataError: a column is missing.
    """
    features = _sentence_features(dataset, columns, source)
    return {layer: _tag_names(features, columns, layer) for layer in columns.layers() if layer != FRAMES}


def records_of(dataset: Dataset | IterableDataset, *, columns: ColumnMap, source: str) -> Iterator[Record]:
    """Yield the rows of a live dataset; class labels and named integers become strings.

    Raises:
        DataError: a column is missing, or an integer has no name.
    """
    names = tag_names(dataset, columns=columns, source=source)
    for number, (key, sentence) in enumerate(_sentences(dataset, columns, source), start=1):
        yield Record(_row(sentence, key or str(number), columns, names), source)


def _load(spec: HubCorpus, path: str, split: str) -> Any:
    return datasets.load_dataset(
        path,
        name=spec.config,
        data_dir=spec.folder,
        revision=spec.revision,
        split=spec.splits[split],
        streaming=spec.streaming,
    )


def _is_saved(path: Path) -> bool:
    """Whether ``save_to_disk`` wrote the folder."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def _from_disk(path: Path, split: str) -> Dataset:
    saved = datasets.load_from_disk(str(path))
    if not isinstance(saved, DatasetDict):
        return saved
    if split not in saved:
        raise DataError(f"{path}: has no split {split!r}; {nearest(split, map(str, saved))}")
    return saved[split]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _sentence_features(dataset: Dataset | IterableDataset, columns: ColumnMap, source: str) -> Mapping[str, Any]:
    """The features of one sentence; empty where a stream does not know them before its first row."""
    features = dataset.features
    if features is None:
        return {}
    _require(columns.needed_of_row(), features, source)
    if columns.sentences is None:
        return features
    inner = _element(features[columns.sentences])
    _require(columns.needed(), inner, source)
    return inner


def _require(needed: Iterable[str], available: Iterable[str], source: str) -> None:
    for column in needed:
        if column not in available:
            raise DataError(f"{source}: has no column {column!r}; {nearest(column, available)}")


def _element(feature: Any) -> Any:
    """What a list feature, however deep, is a list of."""
    while hasattr(feature, "feature"):
        feature = feature.feature
    return feature[0] if isinstance(feature, list) else feature


def _tag_names(features: Mapping[str, Any], columns: ColumnMap, layer: str) -> Sequence[str] | None:
    """The tag of each integer of a layer: those of the spec, or else those of the dataset."""
    feature = _element(features.get(columns.columns[layer]))
    return columns.names.get(layer) or (feature.names if isinstance(feature, ClassLabel) else None)


def _sentences(
    dataset: Iterable[Any], columns: ColumnMap, source: str
) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """The sentences with the ids that the dataset gives them."""
    id_column = columns.columns.get(ID)
    for document in dataset:
        _require(columns.needed_of_row(), document, source)  # once more, for a stream that knew no features
        key = None if id_column is None else str(document[id_column])
        if columns.sentences is None:
            yield key, document
            continue
        for number, sentence in enumerate(document[columns.sentences], start=1):
            yield None if key is None else f"{key}-{number}", sentence


def _row(sentence: Mapping[str, Any], key: str, columns: ColumnMap, names: Mapping[str, Sequence[str] | None]) -> Row:
    row: dict[str, Any] = {ID: key, TOKENS: sentence[columns.columns[TOKENS]]}
    for layer, layer_names in names.items():
        tags = sentence[columns.columns[layer]]
        row[layer] = None if tags is None else [_tag(tag, layer_names, layer, key) for tag in tags]
    if columns.frames_from is not None:
        frames = sentence[columns.frames_from.column]
        row[FRAMES] = [_frame(frame, sentence, columns.frames_from, key) for frame in frames]
    for layer, tag in columns.skip_words.items():
        row = _without(row, layer, tag)
    return row


def _tag(tag: Any, names: Sequence[str] | None, layer: str, key: str) -> Any:
    if not isinstance(tag, int):
        return tag  # a string; check_row says what is wrong with anything else
    if names is None:
        raise DataError(f"row {key!r}: {layer!r} has the integer {tag} and no names; add 'names: {{{layer}: [...]}}'")
    if not 0 <= tag < len(names):
        raise DataError(f"row {key!r}: {layer!r} has the integer {tag}, but names only for 0 to {len(names) - 1}")
    return names[tag]


def _frame(frame: Mapping[str, Any], sentence: Mapping[str, Any], spec: FramesFrom, key: str) -> Mapping[str, Any]:
    """The canonical frame; its sense is ``lemma.roleset``, as far as the dataset has the two."""
    tags = frame[spec.tags]
    if "B-V" not in tags:
        raise DataError(f"row {key!r}: a frame has no B-V, so its predicate is unknown: {tags!r}")
    predicate = tags.index("B-V")
    parts = [sentence[column][predicate] for column in (spec.lemmas, spec.rolesets) if column is not None]
    return {"predicate": predicate, "sense": ".".join(part for part in parts if part), "tags": tags}


def _without(row: dict[str, Any], layer: str, tag: str) -> dict[str, Any]:
    """The row without the words whose tag in ``layer`` is ``tag``."""
    assert FRAMES not in row, "frames index words; the spec forbids skip_words beside frames_from"
    lists = {name: values for name, values in row.items() if name != ID and values is not None}
    if layer not in lists or len({len(values) for values in lists.values()}) > 1:
        return row  # check_row says what is wrong with it
    keep = [index for index, found in enumerate(row[layer]) if found != tag]
    return row | {name: [values[index] for index in keep] for name, values in lists.items()}
