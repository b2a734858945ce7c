"""Corpora: from a spec to datasets of canonical rows, one per split."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset

from seqmtl.data.canonical import filled, recognised, tags_in_bio, to_bio
from seqmtl.data.readers.conll import read_conll
from seqmtl.data.readers.conllu import read_conllu
from seqmtl.data.readers.hub import ColumnMap, open_hub, records_of, tag_names
from seqmtl.data.readers.jsonl import read_jsonl
from seqmtl.data.readers.record import Record
from seqmtl.data.rows import Row, features_of, layers_of
from seqmtl.errors import ConfigError, DataError, nearest
from seqmtl.labels.repair import Policy
from seqmtl.labels.schemes import Scheme
from seqmtl.specs.corpora import (
    CommonCorpus,
    ConllCorpus,
    ConlluCorpus,
    CorpusRef,
    CorpusSpec,
    FileCorpus,
    HubCorpus,
    JsonlCorpus,
    PolicyName,
    SchemeName,
    ToyCorpus,
    parse_corpus,
)
from seqmtl.specs.library import find, read_mapping

AnyDataset = Dataset | IterableDataset


@dataclass(frozen=True)
class Corpus:
    """The splits of a corpus as datasets of canonical rows, with a column for each layer that the corpus has.

    A row that lacks a layer has None in its column. Spans are in BIO. The splits of a streaming corpus are
    ``IterableDataset``.

    Attributes:
        name: what errors call it.
        splits: any of train, dev and test.
        layers: the columns beside ``id`` and ``tokens``.
        tags: of a streaming corpus, all tags of the layers whose source names them: no need to see a row with each.

    A live dataset becomes a corpus by ``rows_from_dataset``:

        splits = {"train": rows_from_dataset(live, columns={"tokens": "words", "ner_tags": "ner"})}
        corpus = Corpus("mine", splits, layers=("ner_tags",))
    """

    name: str
    splits: Mapping[str, AnyDataset]
    layers: tuple[str, ...]
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load_corpus_spec(reference: str, *, folder: Path = Path()) -> tuple[CorpusSpec, Path]:
    """Read a shipped corpus by name (``ewt``), or a YAML file by its path, relative to ``folder``.

    Returns:
        The spec, and the folder from which its own paths count.

    Raises:
        ConfigError: there is no such corpus, or its file is wrong.
    """
    return resolve_corpus(CorpusRef(use=reference), folder=folder)


def resolve_corpus(entry: CorpusSpec | CorpusRef, *, folder: Path) -> tuple[CorpusSpec, Path]:
    """Follow a reference of a recipe that lies in ``folder``, with its overrides; a whole corpus comes back as it is.

    Mappings are merged key by key (``limit: {train: 4000}`` keeps the other limits); anything else is replaced. A path
    among the overrides counts from ``folder``.

    Raises:
        ConfigError: there is no such corpus, its file is wrong, or an override is no key of that kind of corpus.
    """
    if not isinstance(entry, CorpusRef):
        return entry, folder
    is_file = entry.use.endswith((".yaml", ".yml"))
    path = (folder / Path(entry.use).expanduser()) if is_file else find("corpora", entry.use)
    data = read_mapping(path)
    for key, value in entry.overrides().items():
        merges = isinstance(value, Mapping) and isinstance(data.get(key), Mapping)
        data[key] = {**data[key], **value} if merges else value
    spec = parse_corpus(data, source=path)
    home = path.resolve().parent
    # Both kinds of path count from one folder, so an override's moves the whole corpus to the recipe's folder.
    return spec, folder.resolve() if {"path", "dataset"} & set(entry.overrides()) else home


def at_home(spec: CorpusSpec, folder: Path) -> CorpusSpec:
    """``spec`` with its local path made absolute, so that it no longer depends on ``folder``."""
    if isinstance(spec, FileCorpus):
        return spec.model_copy(update={"path": str((folder / Path(spec.path).expanduser()).resolve())})
    if isinstance(spec, HubCorpus) and spec.is_local():
        return spec.model_copy(update={"dataset": str((folder / Path(spec.dataset).expanduser()).resolve())})
    return spec


def load_corpus(spec: CorpusSpec, *, name: str, folder: Path, spans: Collection[str] = ()) -> Corpus:
    """Read a corpus whose paths count from ``folder``; local data needs no network.

    Args:
        spec: where the corpus lies and how it is written.
        name: what errors call it.
        folder: against which its paths are resolved.
        spans: layers that are spans whether ``schemes`` says so or not. The scheme of one that it leaves out is
            recognised, or has to be BIO in a streaming corpus.

    Raises:
        DataError: a file is missing or broken, a row contradicts itself, a tag breaks its scheme, or a split is empty.
        ConfigError: ``schemes`` names a layer that the corpus lacks.
    """
    if isinstance(spec, HubCorpus) and spec.streaming:
        return _streaming(spec, name, folder, spans)
    records = {split: _records(spec, split, name, folder) for split in spec.split_names()}
    return _in_memory(records, name, spec, spans)


def rows_from_dataset(
    dataset: Dataset,
    *,
    columns: Mapping[str, str],
    names: Mapping[str, Sequence[str]] | None = None,
    schemes: Mapping[str, SchemeName] | None = None,
    policy: PolicyName = "error",
    name: str = "dataset",
) -> Dataset:
    """Turn a live dataset into one of canonical rows.

    Args:
        dataset: One row per sentence; tags are strings, class labels or integers.
        columns: The column for ``tokens`` and each layer (and ``id``, if there is one), e.g. ``{"ner_tags": "ner"}``.
        names: The tag of each integer, for layers of integers that are not class labels.
        schemes: The scheme of each span layer, which comes out as BIO.
        policy: Whether a tag that breaks its scheme is an error or repaired.
        name: What errors call the dataset.

    Raises:
        DataError: a column is missing, or a row contradicts itself.
    """
    spec = _LiveRows(schemes=dict(schemes or {}), policy=policy)
    records = records_of(dataset, columns=ColumnMap(columns, names or {}), source=name)
    corpus = _in_memory({"rows": _checked(records, "rows", name, spec)}, name, spec, ())
    rows = corpus.splits["rows"]
    assert isinstance(rows, Dataset)
    return rows


class _LiveRows(CommonCorpus):
    """The common keys, for a dataset that is live already."""

    def split_names(self) -> tuple[str, ...]:
        return ("rows",)


def _records(spec: CorpusSpec, split: str, name: str, folder: Path) -> Iterator[Record]:
    """The checked records of a split, not yet in BIO; reads no further than the limit."""
    return _checked(islice(_read(spec, split, folder), spec.limit.get(split)), split, name, spec)


def _checked(records: Iterator[Record], split: str, name: str, spec: CommonCorpus) -> Iterator[Record]:
    for record in records:
        yield filled(record, corpus=name, split=split, empty_when_absent=spec.empty_when_absent)


def _read(spec: CorpusSpec, split: str, folder: Path) -> Iterator[Record]:
    """The records of a split as they are written."""
    match spec:
        case HubCorpus():
            source = f"{spec.dataset}[{spec.splits[split]}]"
            return records_of(open_hub(spec, split=split, folder=folder), columns=ColumnMap.of(spec), source=source)
        case ToyCorpus():
            return _toy(spec, split)
        case JsonlCorpus() | ConllCorpus() | ConlluCorpus():
            return islice(_read_file(spec, _file(spec, split, folder)), *spec.part(split).rows)


def _read_file(spec: JsonlCorpus | ConllCorpus | ConlluCorpus, path: Path) -> Iterator[Record]:
    match spec:
        case JsonlCorpus():
            return read_jsonl(path, layers=spec.layers)
        case ConllCorpus():
            return read_conll(path, columns=spec.columns, separator=spec.separator, comments=spec.comments)
        case ConlluCorpus():
            return read_conllu(path, layers=spec.layers, misc=spec.misc)


def _file(spec: FileCorpus, split: str, folder: Path) -> Path:
    return (folder / Path(spec.path).expanduser() / spec.part(split).file).resolve()


def _toy(spec: ToyCorpus, split: str) -> Iterator[Record]:
    from seqmtl.data.toy import generate  # its grammar is loaded only where the toy corpus is wanted

    return (Record(row, "toy") for row in generate(split, n=spec.sizes[split], seed=spec.seed))


def _in_memory(splits: Mapping[str, Iterator[Record]], name: str, spec: CommonCorpus, spans: Collection[str]) -> Corpus:
    records = {split: list(found) for split, found in splits.items()}
    for split, found in records.items():
        if not found:
            raise DataError(f"corpus {name!r}, split {split!r}: has no sentences; check its file and its rows")
    everything = [record for found in records.values() for record in found]
    layers = tuple(dict.fromkeys(layer for record in everything for layer in layers_of(record.row)))
    _require_layers(spec, layers, name)
    schemes = {
        layer: recognised(everything, corpus=name, layer=layer) if scheme == "auto" else Scheme(scheme)
        for layer, scheme in _schemes(spec, layers, spans, undeclared="auto").items()
    }
    features = features_of(layers)
    built: dict[str, AnyDataset] = {}
    for split, found in records.items():
        rows = [_row(record, name, split, schemes, spec, layers) for record in found]
        built[split] = Dataset.from_list(rows, features=features)
    return Corpus(name, built, layers)


def _streaming(spec: HubCorpus, name: str, folder: Path, spans: Collection[str]) -> Corpus:
    layers = ColumnMap.of(spec).layers()
    _require_layers(spec, layers, name)
    declared = _schemes(spec, layers, spans, undeclared="bio")
    schemes = {layer: Scheme(scheme) for layer, scheme in declared.items()}

    def generator(split: str) -> Callable[[], Iterator[Row]]:
        def rows() -> Iterator[Row]:
            for record in _records(spec, split, name, folder):
                yield _row(record, name, split, schemes, spec, layers)

        return rows

    features = features_of(layers)
    splits: dict[str, AnyDataset] = {
        split: IterableDataset.from_generator(generator(split), features=features) for split in spec.splits
    }
    return Corpus(name, splits, layers, _named_tags(spec, folder, schemes))


def _named_tags(spec: HubCorpus, folder: Path, schemes: Mapping[str, Scheme]) -> dict[str, tuple[str, ...]]:
    """All tags of the layers whose tags the spec or the dataset names, as the rows will have them."""
    split = next(iter(spec.splits))
    named = tag_names(open_hub(spec, split=split, folder=folder), columns=ColumnMap.of(spec), source=spec.dataset)
    kept = {layer: [tag for tag in tags if tag != spec.skip_words.get(layer)] for layer, tags in named.items() if tags}
    return {layer: tags_in_bio(tags, scheme=schemes.get(layer)) for layer, tags in kept.items()}


def _row(
    record: Record, name: str, split: str, schemes: Mapping[str, Scheme], spec: CommonCorpus, layers: Sequence[str]
) -> dict[str, Any]:
    row = to_bio(record, corpus=name, split=split, schemes=schemes, policy=Policy(spec.policy))
    return {key: row.get(key) for key in ("id", "tokens", *layers)}


def _schemes(
    spec: CommonCorpus, layers: Sequence[str], spans: Collection[str], *, undeclared: SchemeName
) -> dict[str, SchemeName]:
    """The scheme of every span layer that the corpus has."""
    schemes: dict[str, SchemeName] = {layer: undeclared for layer in layers if layer in spans}
    schemes.update(spec.schemes)
    return schemes


def _require_layers(spec: CommonCorpus, layers: Sequence[str], name: str) -> None:
    for layer in spec.schemes:
        if layer not in layers:
            raise ConfigError(f"corpus {name!r}: schemes has {layer!r}, which it lacks; {nearest(layer, layers)}")
