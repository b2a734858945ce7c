"""Pruning a trained run, with what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqmtl.checkpoints import load_checkpoint, load_recipe_of, save_checkpoint, save_metrics, save_recipe
from seqmtl.errors import ConfigError
from seqmtl.evaluation.report import scores_to_json
from seqmtl.evaluation.scores import TaskScore
from seqmtl.sharing.pruning import Pruning
from seqmtl.training.folder import clear_folder, make_run_folder
from seqmtl.training.lock import locked
from seqmtl.training.run import Evaluation, evaluate_checkpoint
from seqmtl.training.setup import resolved


@dataclass(frozen=True)
class PrunedRun:
    """What pruning removed, and what it did to the scores.

    Attributes:
        pruning: what was removed.
        parameters: of the model, before and after.
        before, after: scores per corpus and task.
    """

    pruning: Pruning
    parameters: tuple[int, int]
    before: Mapping[str, Mapping[str, TaskScore]]
    after: Mapping[str, Mapping[str, TaskScore]]


def prune_checkpoint(
    run: str | Path,
    *,
    threshold: float,
    out: str | Path,
    split: str = "dev",
    overrides: Sequence[str] = (),
    device: str = "cpu",
    console: Console | None = None,
) -> PrunedRun:
    """Save a run without the alphas below a threshold, and without the layers that no task then reaches.

    The folder ``out`` becomes a checkpoint with the run's recipe; its ``metrics.json`` holds the scores on ``split``.

    Args:
        run: run folder.
        threshold: of the magnitude of alpha.
        out: another folder; a former run in it is removed.
        split: on which the model is scored before and after.
        overrides: ``key.path=value`` changes to the saved recipe, for example of a corpus' path.
        device: where the model runs, as torch calls it.
        console: where to show progress; None: nowhere.

    Raises:
        CheckpointError: when the run is no checkpoint.
        ConfigError: when its scheme has no alphas, the threshold leaves a task nothing to read, ``out`` cannot be
            written, holds what is not of a run or is being trained in, or there is nothing to score; ``out`` is then
            as it was.
    """
    run, out = Path(run), Path(out)
    if out.resolve() == run.resolve():
        raise ConfigError(f"{out}: is the run that is to be pruned; choose another folder")
    model, indexer = load_checkpoint(run)
    size = model.num_parameters()
    pruning = model.prune_sharing(threshold)
    recipe, folder = load_recipe_of(run, overrides=overrides)
    recipe = resolved(recipe, folder=folder)  # its paths count from the run, and from ``out`` no more
    make_run_folder(out)
    with locked(out):
        before = evaluate_checkpoint(run, split=split, overrides=overrides, device=device, console=console)
        clear_folder(out)
        save_checkpoint(out, model, indexer)
        save_recipe(out, recipe)
        after = evaluate_checkpoint(out, split=split, device=device, console=console)
        pruned = PrunedRun(pruning, (size, model.num_parameters()), _scores(before), _scores(after))
        save_metrics(out, _metrics(pruned, run=run, threshold=threshold, split=split))
        return pruned


def pruning_table(pruned: PrunedRun, *, title: str) -> Table:
    """The main score of each task before and after, in percent, and what was removed."""
    pruning, (before, after) = pruned.pruning, pruned.parameters
    caption = (
        f"alphas removed: {pruning.entries:,} of {pruning.of:,}; layers of towers dropped: {pruning.layers:,}\n"
        f"parameters: {before:,} before, {after:,} after"
    )
    table = Table("corpus", "task", "metric", title=Text(title), caption=Text(caption))
    for column in ("before", "after", "difference"):
        table.add_column(column, justify="right")
    for corpus, scores in pruned.before.items():
        for task, score in scores.items():
            was, now = 100 * score.main_value, 100 * pruned.after[corpus][task].main_value
            table.add_row(Text(corpus), task, score.main, f"{was:.2f}", f"{now:.2f}", f"{now - was:+.2f}")
    return table


def _scores(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, TaskScore]]:
    return {corpus: evaluation.scores for corpus, evaluation in evaluations.items()}


def _metrics(pruned: PrunedRun, *, run: Path, threshold: float, split: str) -> dict[str, Any]:
    before, after = pruned.parameters
    return {
        "pruned": {
            "run": str(run),
            "threshold": threshold,
            "alphas_removed": pruned.pruning.entries,
            "alphas": pruned.pruning.of,
            "layers_dropped": pruned.pruning.layers,
            "parameters": {"before": before, "after": after},
            "before": {corpus: scores_to_json(by_task) for corpus, by_task in pruned.before.items()},
        },
        split: {corpus: scores_to_json(by_task) for corpus, by_task in pruned.after.items()},
    }
