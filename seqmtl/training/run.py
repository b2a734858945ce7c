"""Whole runs: train a recipe, evaluate a checkpoint."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, load_recipe_of
from seqmtl.data.rows import Row
from seqmtl.errors import ConfigError, nearest
from seqmtl.evaluation.bootstrap import Comparison
from seqmtl.evaluation.evaluator import compare_predictions, predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator, Prediction, Reader
from seqmtl.evaluation.scores import TaskScore
from seqmtl.hub import fetch
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.allocation import keep_freed_memory
from seqmtl.training.folder import make_run_folder
from seqmtl.training.launch import launched
from seqmtl.training.lock import alone_in
from seqmtl.training.loop import train
from seqmtl.training.progress import watch
from seqmtl.training.setup import load_corpora, prepare, resolved


def train_recipe(
    recipe: RecipeSpec,
    out: str | Path,
    *,
    folder: Path | None = None,
    console: Console | None = None,
    resume: bool = False,
) -> dict[str, dict[str, TaskScore]]:
    """Train a recipe into the run folder ``out``.

    From here on the process keeps the memory that it frees (``training.allocation``).

    Args:
        recipe: what to do; ``load_recipe`` reads one.
        out: run folder; afterwards it is the checkpoint. A former run in it is removed once nothing is wrong with this
            one, unless this one is to ``resume`` it.
        folder: against which the recipe's paths are resolved, the second value of ``load_recipe``; None: the current
            folder.
        console: where to report; None: the standard output.
        resume: go on from the newest state in ``out``, to the same end as without the pause; where there is none,
            and no checkpoint that would be lost, start at the beginning. A run that is finished is left as it is.

    Returns:
        Test scores per corpus and task.

    Raises:
        SeqMTLError: before any training starts, when recipe, corpora, encoder or run folder are not in order, or
            another run is in the folder.
        StoppedError: when SIGTERM or SIGUSR1 asked for it; ``resume`` goes on.
        TrainingError: when a loss or a gradient is not finite, memory is too small, or the disk is full.
    """
    keep_freed_memory()
    accelerator = launched(recipe, Path(out))
    make_run_folder(Path(out))
    with alone_in(Path(out), accelerator):
        prepared = prepare(recipe, folder=folder or Path())
        if recipe.training.trackers:
            accelerator.init_trackers(recipe.name)
        console = console or Console() if accelerator.is_main_process else Console(quiet=True)
        if prepared.warm_start is not None:
            console.print(str(prepared.warm_start), markup=False, highlight=False, soft_wrap=True)
        return train(prepared, Path(out), console=console, accelerator=accelerator, resume=resume)


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint on one split of one corpus.

    Attributes:
        model: the model.
        corpus: name of the corpus.
        rows: the gold rows.
        predictions: for each row.
        scores: per task.
        seconds: that annotating the rows took.
    """

    model: SeqMTLModel
    corpus: str
    rows: Sequence[Row]
    predictions: Sequence[Prediction]
    scores: dict[str, TaskScore]
    seconds: float


def evaluate_checkpoint(
    checkpoint: str | Path,
    *,
    corpus: str | None = None,
    split: str = "test",
    overrides: Sequence[str] = (),
    reader: Callable[[SeqMTLModel], Reader] | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> dict[str, Evaluation]:
    """Score a checkpoint on a split of its recipe's corpora.

    From here on the process keeps the memory that it frees (``training.allocation``).

    Args:
        checkpoint: run folder, or the name of a model on the hub.
        corpus: name of a corpus in the recipe; None: all of the recipe's ``evaluate_on`` that have the split.
        split: name of the split.
        overrides: ``key.path=value`` changes to the saved recipe, for example of a corpus' path.
        reader: ``Ensemble`` scores all decoders of a task together; None: the best.
        device: where the model runs, as torch calls it.
        console: where to show progress; None: nowhere.

    Returns:
        An evaluation for each corpus that carries a task's layer in the split; there is at least one.

    Raises:
        CheckpointError: when the folder is no checkpoint.
        ConfigError: when there is no such corpus, split, device or ensemble, or nothing in the split to be scored.
    """
    check_device(device)
    keep_freed_memory()
    run = fetch(checkpoint)
    model, indexer = load_checkpoint(run)
    model.to(device)  # type: ignore[arg-type]  # transformers' stub wants a module
    annotator = Annotator(model, indexer, reader=None if reader is None else reader(model))
    recipe, folder = load_recipe_of(run, overrides=overrides)
    found = {}
    for name, rows in _split_rows(resolved(recipe, folder=folder), corpus=corpus, split=split).items():
        if not any(task.carried_by(row, corpus=name) for task in model.tasks.values() for row in rows):
            continue
        began = time.perf_counter()
        with watch(console or Console(quiet=True), f"{name} {split}", total=len(rows)) as bar:
            predictions = predict_rows(annotator, rows, advance=bar.advance)
        seconds = time.perf_counter() - began
        scores = score_rows(model.tasks, rows=rows, predictions=predictions, corpus=name)
        found[name] = Evaluation(model, name, rows, predictions, scores, seconds)
    if not found:
        layers = ", ".join(sorted({task.spec.layer for task in model.tasks.values()}))
        raise ConfigError(f"the split {split!r} has nothing to score: no sentence of it carries {layers}; name another")
    return found


def check_device(device: str) -> None:
    """Make sure that torch can use a device.

    Raises:
        ConfigError: when it cannot, with torch's reason.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {device!r}: {reason}; use cpu, cuda or cuda:N as this machine has them") from None


def _split_rows(recipe: RecipeSpec, *, corpus: str | None, split: str) -> dict[str, list[Row]]:
    """The rows of a split of one corpus of a resolved recipe, or of all on which it evaluates; others are not read."""
    if corpus is not None and corpus not in recipe.corpora:
        raise ConfigError(f"no corpus {corpus!r} in the recipe; {nearest(corpus, recipe.corpora)}")
    names = recipe.evaluate_on or tuple(recipe.corpora) if corpus is None else (corpus,)
    splits = {name: recipe.corpora[name].split_names() for name in names}  # type: ignore[union-attr]  # resolved
    chosen = [name for name in names if split in splits[name]]
    if not chosen:
        known = {split for found in splits.values() for split in found}
        raise ConfigError(f"corpus {', '.join(map(repr, names))} has no split {split!r}; {nearest(split, known)}")
    corpora = load_corpora(recipe.model_copy(update={"corpora": {name: recipe.corpora[name] for name in chosen}}))
    return {name: list(loaded.splits[split]) for name, loaded in corpora.items()}  # type: ignore[arg-type]


def compare_evaluations(ours: Evaluation, theirs: Evaluation) -> dict[str, Comparison]:
    """Paired bootstrap of two checkpoints that were scored on the same sentences, for each task that both have.

    Raises:
        ConfigError: when the sentences differ.
    """
    if [row["tokens"] for row in ours.rows] != [row["tokens"] for row in theirs.rows]:
        raise ConfigError(
            f"the two runs were scored on different sentences ({len(ours.rows)} and {len(theirs.rows)}); "
            "name a corpus and a split that both have, and give it the same limits"
        )
    return compare_predictions(
        ours.model.tasks,
        rows=ours.rows,
        ours=ours.predictions,
        theirs=theirs.predictions,
        corpus=ours.corpus,
    )
