"""From a recipe to everything that a run needs; whatever is wrong with it shows here, before training starts."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from transformers import PreTrainedConfig

from seqmtl.configuration import inventory_sizes
from seqmtl.data.corpus import Corpus, at_home, load_corpus, resolve_corpus
from seqmtl.data.indexers import new_indexer
from seqmtl.data.indexing import Indexer
from seqmtl.data.source import ListSource, Source, StreamSource
from seqmtl.data.tasks import Row, Task, build_task, unseen_labels
from seqmtl.encoders.backbone import load_backbone_config
from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.word_vectors import read_vectors
from seqmtl.errors import ConfigError, DataError, LabelError, nearest
from seqmtl.heads.softmax import SoftmaxHead, balanced_weights
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.encoders import BiLSTMEncoderSpec, TransformerEncoderSpec
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.tasks import SoftmaxHeadSpec

STREAM_SAMPLE = 2000  # rows of a streamed corpus from which labels and vocabularies are collected


@dataclass(frozen=True)
class Prepared:
    """All that training needs.

    Attributes:
        recipe: what was asked for.
        tasks: with their label inventories.
        indexer: sentences to tensors.
        model: new, on the CPU.
        train: where training rows come from, per corpus.
        dev, test: rows to be scored, per corpus; a corpus without the split, or without any task's layer in it, is
            left out.
    """

    recipe: RecipeSpec
    tasks: tuple[Task, ...]
    indexer: Indexer
    model: SeqMTLModel
    train: Mapping[str, Source]
    dev: Mapping[str, list[Row]]
    test: Mapping[str, list[Row]]


def prepare(recipe: RecipeSpec, *, folder: Path) -> Prepared:
    """Read the corpora, collect labels and vocabularies, build the model.

    Args:
        recipe: what was asked for.
        folder: against which the recipe's paths are resolved.

    Raises:
        DataError: when a corpus cannot be read, or no corpus carries a task's layer.
        EncoderError: when the encoder cannot be loaded.
    """
    seed_everything(recipe.training.seed)
    backbone = _backbone_config(recipe)  # first, because a misspelt encoder should not wait for large corpora
    recipe = resolved(recipe, folder=folder)
    corpora = load_corpora(recipe)
    check_layers(recipe, corpora)
    train = {name: _train_source(corpus) for name, corpus in corpora.items() if "train" in corpus.splits}
    if not train:
        raise DataError(f"none of the corpora {', '.join(corpora)} has a 'train' split")
    samples = {name: _sample(source) for name, source in train.items()}
    tasks = tuple(build_task(name, spec, _rows_for(spec.corpora, samples)) for name, spec in recipe.tasks.items())
    scored = {
        name: corpus for name, corpus in corpora.items() if recipe.evaluate_on is None or name in recipe.evaluate_on
    }
    dev, test = _split(scored, "dev", tasks), _split(scored, "test", tasks)
    check_labels(tasks, dev, split="dev")
    sentences = [row["tokens"] for rows in samples.values() for row in rows]
    indexer = new_indexer(recipe.encoder, backbone=backbone, sentences=sentences)
    model = SeqMTLModel.from_encoder(
        recipe.encoder, tasks=tasks, sharing=recipe.sharing, sizes=inventory_sizes(indexer)
    )
    _set_class_weights(model, samples)
    if isinstance(recipe.encoder, BiLSTMEncoderSpec) and recipe.encoder.vectors:
        _load_vectors(model, indexer, recipe.encoder)
    return Prepared(recipe, tasks, indexer, model, train, dev, test)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def resolved(recipe: RecipeSpec, *, folder: Path) -> RecipeSpec:
    """The recipe with its references to shipped corpora followed and local paths absolute: it works from any folder."""
    specs = {}
    for name, entry in recipe.corpora.items():
        spec, home = resolve_corpus(entry, folder=folder)
        specs[name] = at_home(spec, home)
    return recipe.model_copy(update={"corpora": specs})


def load_corpora(recipe: RecipeSpec) -> dict[str, Corpus]:
    """Read every corpus of a resolved recipe."""
    return {name: load_corpus(spec, name=name, folder=Path()) for name, spec in recipe.corpora.items()}  # type: ignore[arg-type]


def check_layers(recipe: RecipeSpec, corpora: Mapping[str, Corpus]) -> None:
    """Make sure that some corpus carries each task's layer.

    Raises:
        ConfigError: naming the task, its layer, and the layers that there are.
    """
    for name, task in recipe.tasks.items():
        chosen = task.corpora or tuple(corpora)
        layers = sorted({layer for corpus in chosen for layer in corpora[corpus].layers})
        if task.layer not in layers:
            raise ConfigError(
                f"tasks.{name}.layer: no corpus among {', '.join(chosen)} carries {task.layer!r}; "
                f"{nearest(task.layer, layers)}"
            )


def check_labels(tasks: Sequence[Task], splits: Mapping[str, Sequence[Row]], *, split: str) -> None:
    """Make sure that training has seen every label on which it will be scored.

    Raises:
        LabelError: naming the labels, with how often each occurs, unless the task allows them.
    """
    for task in tasks:
        if task.spec.unseen_labels == "allow":
            continue
        for corpus, rows in splits.items():
            missing = unseen_labels(task, rows, corpus=corpus)
            if missing:
                shown = ", ".join(f"{label!r} ({count} x)" for label, count in sorted(missing.items())[:5])
                raise LabelError(
                    f"task {task.name!r}: the {split} split of {corpus!r} has {len(missing)} label(s) that training "
                    f"has not seen: {shown}; {nearest(next(iter(missing)), task.labels.labels)}\n"
                    f"mend the corpus, or set tasks.{task.name}.unseen_labels=allow: "
                    "they then count as errors of the model"
                )


def _train_source(corpus: Corpus) -> Source:
    dataset = corpus.splits["train"]
    return StreamSource(dataset) if isinstance(dataset, IterableDataset) else ListSource(dataset.to_list())


def _sample(source: Source) -> Sequence[Row]:
    """The rows from which labels and vocabularies are collected: all there are, or the head of a stream."""
    if isinstance(source, ListSource):
        return source.rows
    assert isinstance(source, StreamSource)
    return source.head(STREAM_SAMPLE)


def _rows_for(chosen: Sequence[str] | None, samples: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for name, rows in samples.items() if chosen is None or name in chosen for row in rows]


def _split(corpora: Mapping[str, Corpus], split: str, tasks: Sequence[Task]) -> dict[str, list[Row]]:
    """The rows of a split, per corpus; a corpus on which no task can be scored is left out."""
    rows: dict[str, list[Row]] = {
        name: list(corpus.splits[split])  # type: ignore[arg-type]  # its rows are dictionaries
        for name, corpus in corpora.items()
        if split in corpus.splits
    }
    return {
        name: found
        for name, found in rows.items()
        if any(task.carried_by(row, corpus=name) for task in tasks for row in found)
    }


def _backbone_config(recipe: RecipeSpec) -> PreTrainedConfig | None:
    spec = recipe.encoder
    return (
        load_backbone_config(spec.pretrained, revision=spec.revision)
        if isinstance(spec, TransformerEncoderSpec)
        else None
    )


def _set_class_weights(model: SeqMTLModel, samples: Mapping[str, Sequence[Row]]) -> None:
    """Give softmax heads the class weights that their specs ask for."""
    for name, task in model.tasks.items():
        spec, head = task.spec.head, model.heads[name]
        if not isinstance(spec, SoftmaxHeadSpec) or spec.class_weights == "none":
            continue
        assert isinstance(head, SoftmaxHead)
        if spec.class_weights == "balanced":
            counts = Counter(
                label
                for corpus, rows in samples.items()
                for row in rows
                for tags in task.sequences(row, corpus=corpus)
                for label in tags
            )
            weights = balanced_weights([counts[label] for label in task.labels.labels])
        else:
            weights = _named_weights(task, spec.class_weights)
        head.class_weights.copy_(torch.tensor(weights))


def _named_weights(task: Task, given: Mapping[str, float]) -> list[float]:
    for label in given:
        if label not in task.labels:
            raise ConfigError(
                f"tasks.{task.name}.head.class_weights: no label {label!r}; {nearest(label, task.labels.labels)}"
            )
    return [given.get(label, 1.0) for label in task.labels.labels]


def _load_vectors(model: SeqMTLModel, indexer: Indexer, spec: BiLSTMEncoderSpec) -> None:
    """Overwrite the embeddings of the words that the vector file holds."""
    assert spec.vectors is not None
    assert indexer.words is not None
    assert isinstance(model.encoder, BiLSTMEncoder)
    weight = model.encoder.embedding.weight.data
    for number, vector in read_vectors(spec.vectors, dim=spec.word_dim, wanted=indexer.words.vocabulary.ids):
        weight[number] = torch.from_numpy(vector)


def describe(prepared: Prepared) -> dict[str, Any]:
    """Sizes for the report at the start of a run."""
    return {
        "parameters": sum(parameter.numel() for parameter in prepared.model.parameters()),
        "train": {name: source.size for name, source in prepared.train.items()},
        "labels": {task.name: len(task.labels) for task in prepared.tasks},
    }
