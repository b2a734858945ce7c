"""Leave one task out, then learn it from few sentences under the Meta-LSTM that the others have trained.

    python scripts/transfer_meta_lstm.py --seeds 3 --jobs 2
    python scripts/transfer_meta_lstm.py --dev-only             # while choosing: the test split is not even read

For each task of the recipe: a Meta-LSTM is trained jointly on the other tasks ("teacher", ``--train-rows`` rows); then
the task is trained alone on the first ``--new-rows`` rows, once under the teacher's Meta-LSTM, which stays as it is
("transfer": ``training.start_from`` and ``training.freeze: meta``; the encoder starts at the teacher's and is trained),
and once from nothing ("scratch"). A task of roles goes together with the finder of predicates that it names. Scores are
means and standard deviations over seeds, in percent; whether the two differ is tested as in compare_sharing.py, whose
folders and worker these runs use, too: what is finished is not done again.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _experiment import check_comparison, comparison_options, machine_of, run_script, write_results
from compare_sharing import Run, among, execute, mark, spread, untested

from seqmtl import ConfigError, RecipeSpec, load_recipe
from seqmtl.evaluation import Comparison, paired_bootstrap
from seqmtl.specs.sharing import MetaLoRASpec, MetaLSTMSpec
from seqmtl.training.setup import resolved

TEACHER, TRANSFER, SCRATCH = "teacher", "transfer", "scratch"


@dataclass(frozen=True)
class Lesson:
    """The runs of one seed and one task that is left out."""

    task: str
    teacher: Run
    transfer: Run
    scratch: Run


def lessons(arguments: argparse.Namespace) -> list[Lesson]:
    """All runs: seed by seed, task by task.

    Raises:
        ConfigError: when the recipe is wrong.
    """
    planned = []
    for seed in range(1, arguments.seeds + 1):
        joint = loaded(arguments, seed=seed, rows=arguments.train_rows)
        check(joint, corpus=arguments.corpus)
        few = loaded(arguments, seed=seed, rows=arguments.new_rows, epochs=arguments.new_epochs)
        for task in left_out(joint):
            group = [name for name in (task, joint.tasks[task].predicates) if name is not None]
            others = [name for name in joint.tasks if name not in group]
            folder = arguments.out / task
            teacher = run(with_tasks(joint, others), TEACHER, folder, seed=seed, corpus=arguments.corpus)
            alone = lenient(with_tasks(few, group))
            start = {"start_from": str(teacher.folder.resolve()), "freeze": "meta"}
            warm = alone.model_copy(update={"training": alone.training.model_copy(update=start)})
            planned.append(
                Lesson(
                    task,
                    teacher,
                    run(warm, TRANSFER, folder, seed=seed, corpus=arguments.corpus),
                    run(alone, SCRATCH, folder, seed=seed, corpus=arguments.corpus),
                )
            )
    return planned


def check(recipe: RecipeSpec, *, corpus: str) -> None:
    """Make sure that there is something to transfer, and tasks to leave out.

    Raises:
        ConfigError: when there is not.
    """
    if not isinstance(recipe.sharing, MetaLSTMSpec | MetaLoRASpec):
        raise ConfigError(
            f"{recipe.name}: sharing of kind {recipe.sharing.kind!r} has no Meta-LSTM to transfer; "
            "name a recipe with kind 'meta_lstm'"
        )
    if len(left_out(recipe)) < 2:
        raise ConfigError(f"{recipe.name}: has but {', '.join(recipe.tasks)}; name a recipe with several tasks")
    if corpus not in recipe.corpora:
        raise ConfigError(
            f"{recipe.name}: has no corpus {corpus!r} but {', '.join(recipe.corpora)}; name one with --corpus"
        )


def loaded(arguments: argparse.Namespace, *, seed: int, rows: int, epochs: int | None = None) -> RecipeSpec:
    """The recipe with the first ``rows`` training rows."""
    more = [] if epochs is None else [f"training.epochs={epochs}", f"training.evaluate_every={epochs}"]
    overrides = [f"corpora.{arguments.corpus}.limit.train={rows}", *more, f"training.seed={seed}"]
    recipe, folder = load_recipe(arguments.recipe, overrides=[*arguments.overrides, *overrides])
    return resolved(recipe, folder=folder)


def left_out(recipe: RecipeSpec) -> list[str]:
    """The tasks that take their turn: all but finders of predicates that another task names."""
    finders = {spec.predicates for spec in recipe.tasks.values()}
    return [name for name in recipe.tasks if name not in finders]


def with_tasks(recipe: RecipeSpec, names: Sequence[str]) -> RecipeSpec:
    """``recipe`` with these tasks."""
    tasks = {name: spec for name, spec in recipe.tasks.items() if name in names}
    return recipe.model_copy(update={"tasks": tasks, "sharing": among(recipe.sharing, tasks)})


def lenient(recipe: RecipeSpec) -> RecipeSpec:
    """``recipe`` for so few rows that they do not show every label: those of dev that they lack count as errors."""
    tasks = {name: spec.model_copy(update={"unseen_labels": "allow"}) for name, spec in recipe.tasks.items()}
    return recipe.model_copy(update={"tasks": tasks})


def run(recipe: RecipeSpec, scheme: str, folder: Path, *, seed: int, corpus: str) -> Run:
    """A run of ``recipe``, which does not see the test split in training."""
    return Run(
        scheme=scheme,
        seed=seed,
        tasks=tuple(recipe.tasks),
        recipe=recipe.model_copy(update={"corpora": {name: untested(entry) for name, entry in recipe.corpora.items()}}),
        full=f"corpora.{corpus}={recipe.corpora[corpus].model_dump_json()}",
        folder=folder / scheme / f"seed_{seed}",
    )


@dataclass(frozen=True)
class Row:
    """A task: its scores in percent, a number per seed, and whether they differ."""

    transfer: list[float]
    scratch: list[float]
    comparison: Comparison


def collected(found: Sequence[Lesson], *, split: str) -> dict[str, Row]:
    """The finished runs by task."""
    rows = {}
    for task in dict.fromkeys(lesson.task for lesson in found):
        mine = [lesson for lesson in found if lesson.task == task]
        files = [[run.found(split) or {} for run in (lesson.transfer, lesson.scratch)] for lesson in mine]
        transfer, scratch = ([one["scores"][task] for one in runs] for runs in zip(*files, strict=True))
        counts = [np.sum([one["counts"][task] for one in runs], axis=0) for runs in zip(*files, strict=True)]
        rows[task] = Row(transfer, scratch, paired_bootstrap(*counts))
    return rows


def table(rows: dict[str, Row]) -> list[str]:
    """Tasks by row, in Markdown."""
    lines = ["| task left out | scratch | transfer |", "|---|--:|--:|"]
    lines += [
        f"| {task} | {spread(row.scratch)} | {spread(row.transfer)}{mark(row.comparison)} |"
        for task, row in rows.items()
    ]
    return lines


def main() -> None:
    """Train teachers, then the tasks that they were not taught; print the table and the JSON line."""
    parser = comparison_options(__doc__, out=Path("runs/transfer"))
    parser.add_argument("--recipe", default="ewt_lstm_meta", help="a file or name (default: %(default)s)")
    parser.add_argument("--new-rows", type=int, default=500, help="of the task that was left out (default: 500)")
    parser.add_argument("--new-epochs", type=int, default=30, help="over these (default: 30)")
    arguments = parser.parse_args()
    check_comparison(parser, arguments)
    if min(arguments.new_rows, arguments.new_epochs) < 1:
        parser.error("--new-rows and --new-epochs must be at least 1")
    split = "dev" if arguments.dev_only else "test"
    planned = lessons(arguments)
    how = {"corpus": arguments.corpus, "split": split, "jobs": arguments.jobs}
    execute([lesson.teacher for lesson in planned], **how)
    execute([run for lesson in planned for run in (lesson.transfer, lesson.scratch)], **how)
    rows = collected(planned, split=split)
    name = f"transfer_meta_lstm-{arguments.new_rows}{'-dev' if arguments.dev_only else ''}"
    described = machine_of(arguments.jobs)
    note = (
        f"{split.capitalize()} scores, mean ± standard deviation of {arguments.seeds} seeds. Teachers: the other tasks "
        f"on {arguments.train_rows:,} rows; then {arguments.new_rows:,} rows, {arguments.new_epochs} epochs. With "
        "the Meta-LSTM a transfer starts at the teacher's words and characters, which it trains. ↑ ↓: "
        "better or worse than scratch, p < 0.05 by a paired bootstrap of the sentences, counts added up over seeds."
    )
    lines = [*table(rows), "", note]
    print("\n".join(lines), end="\n\n")
    if arguments.markdown:
        write_results(name, lines, described=described)
    record = {task: asdict(row) for task, row in rows.items()}
    print(json.dumps({"benchmark": name, "machine": described, "tasks": record}))


if __name__ == "__main__":
    run_script(main)
