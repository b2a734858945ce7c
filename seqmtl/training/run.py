"""Whole runs: train a recipe, evaluate a checkpoint."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, load_recipe_of
from seqmtl.data.tasks import Row
from seqmtl.errors import ConfigError, nearest
from seqmtl.evaluation.bootstrap import Comparison
from seqmtl.evaluation.evaluator import compare_predictions, predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator, Prediction
from seqmtl.evaluation.scores import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec, load_recipe
from seqmtl.training.loop import train
from seqmtl.training.progress import watch
from seqmtl.training.setup import load_corpora, prepare, resolved


def train_recipe(
    recipe: str | RecipeSpec,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    folder: Path | None = None,
    console: Console | None = None,
) -> dict[str, dict[str, TaskScore]]:
    """Train a recipe into the run folder ``out``.

    Args:
        recipe: a file, the name of a shipped recipe, or a recipe that is already loaded.
        out: run folder; afterwards it is the checkpoint.
        overrides: ``key.path=value`` changes to a recipe that is read here.
        folder: against which the paths of a loaded recipe are resolved; None: the current folder.
        console: where to report; None: the standard output.

    Returns:
        Test scores per corpus and task.

    Raises:
        SeqMTLError: before any training starts, when recipe, corpora, encoder or run folder are not in order.
        TrainingError: when a loss is not finite.
    """
    if isinstance(recipe, str):
        recipe, folder = load_recipe(recipe, overrides=overrides)
    spec = recipe.training
    check_trackers(spec.trackers)
    make_folder(Path(out))
    accelerator = Accelerator(
        mixed_precision=_precision(spec.precision), log_with=list(spec.trackers) or None, project_dir=str(out)
    )
    quiet = not accelerator.is_main_process
    prepared = prepare(recipe, folder=folder or Path())
    if spec.trackers:
        accelerator.init_trackers(recipe.name)
    return train(
        prepared, Path(out), console=Console(quiet=True) if quiet else console or Console(), accelerator=accelerator
    )


def make_folder(out: Path) -> None:
    """Make the run folder.

    Raises:
        ConfigError: when it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be the run folder: {error.strerror}; choose another one") from None


def check_trackers(trackers: Sequence[str]) -> None:
    """Make sure that the trackers are installed; Accelerate would leave out a missing one without a word.

    Raises:
        ConfigError: naming the missing package.
    """
    for tracker in trackers:
        if find_spec(tracker) is None:
            raise ConfigError(f"training.trackers: {tracker!r} is not installed; pip install {tracker}")


def _precision(asked: str) -> str:
    """What Accelerate calls the precision; ``auto`` is bf16 on a GPU that has it, else fp32."""
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16" if asked == "bf16" or (asked == "auto" and has_bf16) else "no"


@dataclass(frozen=True)
class Evaluation:
    """A checkpoint on one split of one corpus.

    Attributes:
        model: the model.
        rows: the gold rows.
        predictions: for each row.
        scores: per task.
        seconds: that annotating the rows took.
    """

    model: SeqMTLModel
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
    console: Console | None = None,
) -> Evaluation:
    """Score a checkpoint on a split of one of its recipe's corpora.

    Args:
        checkpoint: run folder.
        corpus: name of a corpus in the recipe; None: the first.
        split: name of the split.
        overrides: ``key.path=value`` changes to the saved recipe, for example of a corpus' path.
        console: where to show progress; None: nowhere.

    Raises:
        CheckpointError: when the folder is no checkpoint.
        ConfigError: when there is no such corpus or split.
    """
    model, indexer = load_checkpoint(checkpoint)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)  # type: ignore[arg-type]
    recipe, folder = load_recipe_of(Path(checkpoint), overrides=overrides)
    name = corpus or next(iter(recipe.corpora))
    if name not in recipe.corpora:
        raise ConfigError(f"no corpus {name!r} in {checkpoint}; {nearest(name, recipe.corpora)}")
    chosen = recipe.model_copy(update={"corpora": {name: recipe.corpora[name]}})
    splits = load_corpora(resolved(chosen, folder=folder))[name].splits
    if split not in splits:
        raise ConfigError(f"corpus {name!r} has no split {split!r}; {nearest(split, splits)}")
    rows: list[Row] = list(splits[split])  # type: ignore[arg-type]  # its rows are dictionaries
    began = time.perf_counter()
    with watch(console or Console(quiet=True), f"{name} {split}", total=len(rows)) as bar:
        predictions = predict_rows(Annotator(model, indexer), rows, advance=bar.advance)
    seconds = time.perf_counter() - began
    return Evaluation(model, rows, predictions, score_rows(model.tasks, rows, predictions, corpus=name), seconds)


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
    return compare_predictions(ours.model.tasks, ours.rows, ours.predictions, theirs.predictions)
