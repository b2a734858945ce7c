"""From a recipe to everything that a run needs; whatever is wrong with it shows here, before training starts."""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from seqmtl.data.rows import Row
from seqmtl.data.source import ListSource, Source, StreamSource
from seqmtl.data.tasks import Task, build_task
from seqmtl.encoders.backbone import load_backbone_config
from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.lora import add_adapters, check_peft
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.errors import ConfigError, DataError, nearest
from seqmtl.heads.softmax import SoftmaxHead, balanced_weights
from seqmtl.labels.schemes import OUTSIDE, split_tag
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.encoders import BiLSTMEncoderSpec, TransformerEncoderSpec
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.tasks import SoftmaxHeadSpec, TaskSpec
from seqmtl.training.checks import check_dev, check_labels, check_layers, check_names, check_spans, check_words
from seqmtl.training.control import split_control
from seqmtl.training.start import Start, start_at_home
from seqmtl.training.vectors import load_vectors, words_of_vectors
from seqmtl.training.warm_start import WarmStart

STREAM_SAMPLE = 2000  # rows of a streamed corpus from which labels and vocabularies are collected


@dataclass(frozen=True)
class Prepared:
    """All that training needs.

    Attributes:
        recipe: what was asked for.
        tasks: with their label inventories.
        indexer: sentences to tensors.
        model: new, on the CPU; with adapters in its encoder if the recipe asks for them.
        train: where training rows come from, per corpus.
        dev, test: rows to be scored, per corpus; a corpus without the split, or without any task's layer in it, is
            left out.
        control: rows on which the decoders of a task are compared, per corpus; empty when each task has one.
        warm_start: what the model has from another run; None: nothing.
    """

    recipe: RecipeSpec
    tasks: tuple[Task, ...]
    indexer: Indexer
    model: SeqMTLModel
    train: Mapping[str, Source]
    dev: Mapping[str, list[Row]]
    test: Mapping[str, list[Row]]
    control: Mapping[str, list[Row]]
    warm_start: WarmStart | None


def prepare(recipe: RecipeSpec, *, folder: Path, datasets: Mapping[str, Corpus] | None = None) -> Prepared:
    """Read the corpora, collect labels and vocabularies, build the model.

    Labels are those of all training rows; vocabularies and class weights leave out what was set aside as control rows.

    Args:
        recipe: what was asked for.
        folder: against which the recipe's paths are resolved.
        datasets: corpora made in Python, by name: they need no entry in the recipe, and go before one of that name.

    Raises:
        ConfigError: when the recipe speaks of a corpus or layer that there is not, or starts from what does not fit it.
        DataError: when a corpus cannot be read, or has labels to be scored that training lacks.
        EncoderError: when the encoder cannot be loaded.
    """
    seed_everything(recipe.training.seed)
    lora = recipe.encoder.lora if isinstance(recipe.encoder, TransformerEncoderSpec) else None
    if lora is not None:
        check_peft()
    backbone = _backbone_config(recipe)  # first, because a misspelt encoder should not wait for large corpora
    ready = dict(datasets or {})
    recipe = resolved(recipe, folder=folder, ready=tuple(ready))
    start = Start(recipe)
    for name, corpus in ready.items():
        check_spans(corpus, name=name, layers=_span_layers(recipe, name))
    corpora = load_corpora(recipe) | ready
    check_layers(recipe, corpora)
    train = {name: _train_source(corpus) for name, corpus in corpora.items() if "train" in corpus.splits}
    if not train:
        raise DataError(f"none of the corpora {', '.join(corpora)} has a 'train' split")
    samples = {name: _sample(source) for name, source in train.items()}
    check_words(samples)
    tasks = tuple(_task(name, spec, samples, corpora) for name, spec in recipe.tasks.items())
    scored = {
        name: corpus for name, corpus in corpora.items() if recipe.evaluate_on is None or name in recipe.evaluate_on
    }
    dev, test = _split(scored, "dev", tasks), _split(scored, "test", tasks)
    check_dev(recipe, dev)
    check_labels(tasks, dev, split="dev")
    check_labels(tasks, test, split="test")
    split = split_control(recipe, tasks, train=train, dev=dev)
    samples |= {name: source.rows for name, source in split.train.items() if isinstance(source, ListSource)}
    sentences = [row["tokens"] for rows in samples.values() for row in rows]
    own = new_indexer(
        recipe.encoder, backbone=backbone, sentences=sentences, more_words=words_of_vectors(recipe.encoder)
    )
    indexer = start.reading(own, sentences)
    model = SeqMTLModel.from_encoder(
        recipe.encoder,
        tasks=tasks,
        sharing=recipe.sharing,
        decoders=recipe.pseudo_tasks.decoder_specs(tuple(recipe.tasks)) if recipe.pseudo_tasks else None,
        sizes=inventory_sizes(indexer),
    )
    _set_class_weights(model, samples)
    if isinstance(recipe.encoder, BiLSTMEncoderSpec) and recipe.encoder.vectors:
        assert isinstance(model.encoder, BiLSTMEncoder)
        assert indexer.words is not None
        load_vectors(model.encoder, recipe.encoder, vocabulary=indexer.words.vocabulary, sentences=sentences)
    warm_start = start.put_into(model, indexer)
    if lora is not None:  # now that all weights, to which names and vocabularies lead, are there
        assert isinstance(model.encoder, TransformerEncoder)
        add_adapters(model.encoder.model, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout, modules=lora.modules)
    return Prepared(recipe, tasks, indexer, model, split.train, dev, test, split.control, warm_start)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def resolved(recipe: RecipeSpec, *, folder: Path, ready: Collection[str] = ()) -> RecipeSpec:
    """The recipe with its references to shipped corpora followed and its paths absolute: it works from any folder.

    Args:
        recipe: what was asked for.
        folder: against which its paths are resolved.
        ready: corpora of which the recipe may speak beside its own; an entry of that name is left out.

    Raises:
        ConfigError: when the recipe speaks of a corpus that there is not, or a reference cannot be followed.
    """
    check_names(recipe, corpora=(*recipe.corpora, *ready))
    specs = {}
    for name, entry in recipe.corpora.items():
        if name not in ready:
            spec, home = resolve_corpus(entry, folder=folder)
            specs[name] = at_home(spec, home)
    return start_at_home(recipe.model_copy(update={"corpora": specs}), folder)


def load_corpora(recipe: RecipeSpec) -> dict[str, Corpus]:
    """Read every corpus of a resolved recipe; what some task reads as spans comes out as BIO."""
    return {
        name: load_corpus(spec, name=name, folder=Path(), spans=_span_layers(recipe, name))  # type: ignore[arg-type]
        for name, spec in recipe.corpora.items()
    }


def _span_layers(recipe: RecipeSpec, corpus: str) -> set[str]:
    """The layers that some task reads as spans from a corpus."""
    return {
        task.layer
        for task in recipe.tasks.values()
        if task.scheme is not None and (task.corpora is None or corpus in task.corpora)
    }


def _task(name: str, spec: TaskSpec, samples: Mapping[str, Sequence[Row]], corpora: Mapping[str, Corpus]) -> Task:
    """The task with the labels of its training rows, and those that a stream's source names."""
    chosen = [corpus for corpus in samples if spec.corpora is None or corpus in spec.corpora]
    named = [corpora[corpus].tags[spec.layer] for corpus in chosen if spec.layer in corpora[corpus].tags]
    return build_task(name, spec, [*_rows_for(chosen, samples), *(_every_tag(spec, tags) for tags in named)])


def _every_tag(spec: TaskSpec, tags: Sequence[str]) -> Row:
    """A row that holds each of ``tags``; of spans it holds each length, so that it does so in any scheme."""
    if spec.scheme is not None:
        labels = dict.fromkeys(split_tag(tag).label for tag in tags if tag != OUTSIDE)
        lengths = {label: (1, 2, 3) if f"I-{label}" in tags else (1,) for label in labels}
        spans = [[f"B-{label}"] + [f"I-{label}"] * (n - 1) for label in labels for n in lengths[label]]
        tags = [OUTSIDE, *(tag for span in spans for tag in span)]
    return {"id": "every tag", "tokens": list(tags), spec.layer: list(tags)}


def _train_source(corpus: Corpus) -> Source:
    dataset = corpus.splits["train"]
    return StreamSource(dataset) if isinstance(dataset, IterableDataset) else ListSource(dataset.to_list())


def _sample(source: Source) -> Sequence[Row]:
    """The rows from which labels and vocabularies are collected: all there are, or the head of a stream."""
    if isinstance(source, ListSource):
        return source.rows
    assert isinstance(source, StreamSource)
    return source.head(STREAM_SAMPLE)


def _rows_for(chosen: Sequence[str], samples: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for name in chosen for row in samples[name]]


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


def describe(prepared: Prepared) -> dict[str, Any]:
    """Sizes for the report at the start of a run."""
    return {
        "parameters": sum(parameter.numel() for parameter in prepared.model.parameters()),
        "train": {name: source.size for name, source in prepared.train.items()},
        "labels": {task.name: len(task.labels) for task in prepared.tasks},
    }
