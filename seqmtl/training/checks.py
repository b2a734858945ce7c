"""What is wrong with a recipe or its corpora shows here, before training starts."""

from collections.abc import Collection, Mapping, Sequence

from datasets import Dataset

from seqmtl.data.canonical import to_bio
from seqmtl.data.corpus import Corpus
from seqmtl.data.readers.record import Record
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task, unseen_labels
from seqmtl.errors import ConfigError, DataError, LabelError, nearest
from seqmtl.labels import Policy, Scheme
from seqmtl.specs.recipe import RecipeSpec


def check_names(recipe: RecipeSpec, *, corpora: Collection[str]) -> None:
    """Make sure that there are corpora, and that the recipe speaks of no others.

    Raises:
        ConfigError: naming the key, with the nearest corpus.
    """
    if not corpora:
        raise ConfigError("there is no corpus: name one under 'corpora', for example {toy: {use: toy}}")
    speaks = [(f"tasks.{name}.corpora", corpus) for name, task in recipe.tasks.items() for corpus in task.corpora or ()]
    for key, corpus in [*speaks, *(("evaluate_on", corpus) for corpus in recipe.evaluate_on or ())]:
        if corpus not in corpora:
            raise ConfigError(f"{key}: no corpus {corpus!r}; {nearest(corpus, corpora)}")


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


def check_spans(corpus: Corpus, *, name: str, layers: Collection[str]) -> None:
    """Make sure that the span ``layers`` of a corpus that was made in Python are BIO; a stream is left unread.

    Raises:
        DataError: naming the corpus, split, row and tag.
    """
    schemes = {layer: Scheme.BIO for layer in layers if layer in corpus.layers}
    for split, rows in corpus.splits.items():
        for row in rows.to_list() if isinstance(rows, Dataset) else ():
            to_bio(Record(row, name), corpus=name, split=split, schemes=schemes, policy=Policy.ERROR)


def check_words(samples: Mapping[str, Sequence[Row]]) -> None:
    """Make sure that the training rows of each corpus have words.

    Raises:
        DataError: naming the corpus.
    """
    for corpus, rows in samples.items():
        if not any(row["tokens"] for row in rows):
            raise DataError(
                f"corpus {corpus!r}, split 'train': none of its {len(rows)} sentences has a word; "
                "check its file and its columns"
            )


def check_labels(tasks: Sequence[Task], splits: Mapping[str, Sequence[Row]], *, split: str) -> None:
    """Make sure that training has seen every label on which it will be scored.

    Args:
        tasks: with their label inventories; those with ``unseen_labels: allow`` are not checked.
        splits: the rows to be scored, per corpus; a task counts those of its own corpora.
        split: dev or test.

    Raises:
        LabelError: naming the labels, with how often each occurs.
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


def check_dev(recipe: RecipeSpec, dev: Collection[str]) -> None:
    """Make sure that there is a dev split for whatever is chosen by its scores.

    Raises:
        ConfigError: naming the key.
    """
    chosen = {
        "patience": recipe.training.patience is not None,
        "save_best_per_task": recipe.training.save_best_per_task,
    }
    for key, wanted in chosen.items():
        if wanted and not dev:
            raise ConfigError(
                f"training.{key}: goes by the scores on dev, but no corpus that is evaluated has a 'dev' split; "
                f"add one, or leave out {key}"
            )
