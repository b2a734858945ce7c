"""Train several recipes and each task alone, over some seeds, and print one table of schemes x tasks.

    python scripts/compare_sharing.py tasks/recipes/ewt_hard_unmixed.yaml tasks/recipes/ewt_sluice.yaml --seeds 3
    python scripts/compare_sharing.py ... --dev-only              # while choosing: the test split is not even read
    python scripts/compare_sharing.py ... --jobs 2                # two runs side by side, each on half of the cores
    python scripts/compare_sharing.py ewt_pta_{one,i,f,fp,gp,hgd} --against-base --task chunk --out runs/pta_chunk

The first recipe is the base: its tasks are trained one by one as well, with everything else as it is, but for what its
sharing says about other tasks: depths, tree and order keep the task that is there; an adversary of a single task, which
has nothing to tell apart, is left out, and so are alphas and connections of another run. A task of roles that names a
finder of predicates is trained together with it, and the finder once more alone. With ``--against-base`` no task is
trained alone, and the other recipes are measured against the first. With ``--task`` all recipes keep only those tasks,
and the finders that they name.

Each run is a process of its own and a folder, OUT/SCHEME/seed_S or OUT/single/TASK/seed_S. What is finished is not
done again, so the same command goes on where it was stopped; a half-finished run starts anew. No run reads the test
split while it trains.

Scores are the mean and the standard deviation over seeds, in percent. Whether a scheme differs from single-task models,
or from the first recipe, is tested on the sentences (paired bootstrap, 1,000 samples, two sides): the counts of each
sentence are added up over the seeds, so that each seed weighs the same and a sentence is drawn with all its seeds; the
seeds are taken as given.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from _experiment import (
    ASKED,
    check_comparison,
    comparison_options,
    machine_of,
    run_script,
    threads_of,
    write_results,
)

from seqmtl import ConfigError, RecipeSpec, TrainingError, load_recipe
from seqmtl.checkpoints import METRICS, load_recipe_of, recipe_text
from seqmtl.errors import nearest
from seqmtl.evaluation import Comparison, paired_bootstrap
from seqmtl.files import write_text
from seqmtl.specs.corpora import CorpusEntry, CorpusRef, CorpusSpec, ToyCorpus
from seqmtl.specs.pseudo_tasks import PseudoTasksSpec
from seqmtl.specs.sharing import (
    BranchingSpec,
    CrossStitchSpec,
    HierarchicalSpec,
    JMTSpec,
    SharedPrivateSpec,
    SharingSpec,
    SluiceSpec,
)
from seqmtl.training.setup import resolved

SINGLE = "single"
LEVEL = 0.05
WORKER = Path(__file__).parent / "_compared_run.py"


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        scheme: the row of the table to which it belongs.
        seed: of its training.
        tasks: those whose scores it gives to the table.
        recipe: resolved, without test splits.
        full: the override that gives the scored corpus its test split back.
        folder: where it lies.
    """

    scheme: str
    seed: int
    tasks: tuple[str, ...]
    recipe: RecipeSpec
    full: str
    folder: Path

    def found(self, split: str) -> dict[str, Any] | None:
        """The scores on a split; None when they are not there yet.

        Raises:
            ConfigError: when the folder holds a finished run of another recipe.
        """
        if not (self.folder / METRICS).exists():
            return None
        if load_recipe_of(self.folder)[0] != self.recipe:
            raise ConfigError(
                f"{self.folder}: is a run of another recipe, see its recipe.yaml; name another folder with --out"
            )
        path = self.folder / f"scores-{split}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def execute(self, *, corpus: str, split: str, threads: int) -> float:
        """Train, unless that is done, and score; return the seconds that it took.

        Raises:
            TrainingError: when the run fails; the folder's log.txt says all.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / ASKED, recipe_text(self.recipe))
        began = time.perf_counter()
        with (self.folder / "log.txt").open("w", encoding="utf-8") as log:
            done = subprocess.run(
                [sys.executable, str(WORKER), str(self.folder), corpus, split, self.full],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                check=False,
            )
        if done.returncode:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8").strip().splitlines() or [""]
            raise TrainingError(f"{self.folder}: the run ended with status {done.returncode}: {lines[-1]}; see log.txt")
        return time.perf_counter() - began


def plan(
    recipes: Sequence[str],
    *,
    seeds: int,
    rows: int,
    corpus: str,
    out: Path,
    overrides: Sequence[str],
    tasks: Sequence[str] = (),
    alone: bool = True,
) -> list[Run]:
    """All runs: seed by seed, in each the single tasks of the first recipe, then the recipes in their order.

    With ``tasks`` the recipes have no others; without ``alone`` no task is trained alone.

    Raises:
        ConfigError: when a recipe is wrong, or cannot be compared with the first.
    """
    limit = [f"corpora.{corpus}.limit.train={rows}"] if rows else []
    for recipe in recipes:
        known = load_recipe(recipe)[0].corpora
        if corpus not in known:
            raise ConfigError(f"{recipe}: has no corpus {corpus!r} but {', '.join(known)}; name one with --corpus")
    runs = []
    for seed in range(1, seeds + 1):
        specs = [
            restricted(resolved(spec, folder=folder), tasks) if tasks else resolved(spec, folder=folder)
            for spec, folder in (
                load_recipe(recipe, overrides=[*limit, *overrides, f"training.seed={seed}"]) for recipe in recipes
            )
        ]
        check_comparable(specs)
        base, every = specs[0], tuple(specs[0].tasks)
        planned = [(f"{SINGLE}/{task}", (task,), only(base, task)) for task in every] if alone else []
        planned += [(spec.name, every, spec) for spec in specs]
        runs += [
            Run(
                scheme=place.split("/")[0],
                seed=seed,
                tasks=named,
                recipe=spec.model_copy(
                    update={"corpora": {key: untested(value) for key, value in spec.corpora.items()}}
                ),  # type: ignore[arg-type]  # resolved
                full=f"corpora.{corpus}={spec.corpora[corpus].model_dump_json()}",
                folder=out / place / f"seed_{seed}",
            )
            for place, named, spec in planned
        ]
    return runs


def check_comparable(specs: Sequence[RecipeSpec]) -> None:
    """Make sure that recipes have names of their own and the same tasks.

    Raises:
        ConfigError: when they do not.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1 or name == SINGLE:
            raise ConfigError(f"each recipe needs a name of its own, and {SINGLE!r} is taken; got {', '.join(names)}")
    for spec in specs[1:]:
        if set(spec.tasks) != set(specs[0].tasks):
            raise ConfigError(
                f"{spec.name} has the tasks {', '.join(spec.tasks)}, but {specs[0].name} has "
                f"{', '.join(specs[0].tasks)}; only recipes with the same tasks can be compared"
            )


def only(recipe: RecipeSpec, task: str) -> RecipeSpec:
    """``recipe`` with one task, and with the finder of predicates that it names."""
    return restricted(recipe, [task]).model_copy(update={"name": f"{recipe.name}_{task}"})


def restricted(recipe: RecipeSpec, tasks: Sequence[str]) -> RecipeSpec:
    """``recipe`` with some of its tasks, and with the finders of predicates that they name.

    Raises:
        ConfigError: when it has no such task.
    """
    for task in tasks:
        if task not in recipe.tasks:
            raise ConfigError(f"{recipe.name}: has no task {task!r}; {nearest(task, recipe.tasks)}")
    wanted = {*tasks, *(recipe.tasks[task].predicates for task in tasks)}
    kept = {name: spec for name, spec in recipe.tasks.items() if name in wanted}
    sharing, pseudo_tasks = among(recipe.sharing, kept), with_decoders(recipe.pseudo_tasks, kept)
    return recipe.model_copy(update={"tasks": kept, "sharing": sharing, "pseudo_tasks": pseudo_tasks})


def with_decoders(pseudo_tasks: PseudoTasksSpec | None, tasks: Collection[str]) -> PseudoTasksSpec | None:
    """``pseudo_tasks`` without what it says about other tasks than ``tasks``."""
    if pseudo_tasks is None or pseudo_tasks.tasks is None:
        return pseudo_tasks
    kept = tuple(task for task in pseudo_tasks.tasks if task in tasks)
    return pseudo_tasks.model_copy(update={"tasks": kept}) if kept else None


def among(sharing: SharingSpec, tasks: Collection[str]) -> SharingSpec:
    """``sharing`` without what it says about other tasks than ``tasks``."""
    match sharing:
        case HierarchicalSpec(depths=depths):
            return sharing.model_copy(update={"depths": {task: depths[task] for task in depths if task in tasks}})
        case BranchingSpec():
            levels = ([tuple(t for t in group if t in tasks) for group in level] for level in sharing.tree)
            return sharing.model_copy(update={"tree": tuple(tuple(filter(None, level)) for level in levels)})
        case JMTSpec(order=tuple(order)):
            return sharing.model_copy(update={"order": tuple(task for task in order if task in tasks)})
        case SharedPrivateSpec() if len(tasks) == 1:
            return sharing.model_copy(update={"adversary": None})
        case CrossStitchSpec() | SluiceSpec():
            return sharing.model_copy(update={"alpha_from": None, "connections": None})
        case _:
            return sharing


def untested(corpus: CorpusEntry) -> CorpusSpec:
    """A resolved ``corpus`` without its test split."""
    assert not isinstance(corpus, CorpusRef)
    key, splits = ("sizes", corpus.sizes) if isinstance(corpus, ToyCorpus) else ("splits", corpus.splits)
    kept = {name: value for name, value in splits.items() if name != "test"}
    limit = {name: value for name, value in corpus.limit.items() if name != "test"}
    return corpus.model_copy(update={key: kept, "limit": limit})


def execute(runs: Sequence[Run], *, corpus: str, split: str, jobs: int) -> None:
    """Do what is not done yet, ``jobs`` runs side by side; the first that fails stops the rest."""
    waiting = [run for run in runs if run.found(split) is None]
    threads = threads_of(jobs)
    print(f"{len(waiting)} of {len(runs)} runs to do", file=sys.stderr)
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run.execute, corpus=corpus, split=split, threads=threads): run for run in waiting}
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                print(f"{number}/{len(waiting)} {futures[future].folder}: {future.result():.0f} s", file=sys.stderr)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Scheme:
    """A row of the table.

    Attributes:
        scores: in percent, of each task, a number per seed.
        counts: correct, predicted and gold of each task and sentence, summed over the seeds, ``[sentences, 3]``.
        parameters: of the model; of all single-task models together.
        speed: training words per second; of single-task models, when each trains on a word in turn.
    """

    scores: Mapping[str, Sequence[float]]
    counts: Mapping[str, np.ndarray]
    parameters: int
    speed: float

    @property
    def means(self) -> list[float]:
        """The mean over tasks, a number per seed."""
        return [mean(seed) for seed in zip(*self.scores.values(), strict=True)]


def collected(runs: Sequence[Run], *, split: str) -> dict[str, Scheme]:
    """The finished runs by scheme, tasks in the order of the base."""
    schemes = {}
    for name in dict.fromkeys(run.scheme for run in runs):
        mine = [(run, run.found(split) or {}) for run in runs if run.scheme == name]
        tasks = [task for run, _ in mine if run.seed == 1 for task in run.tasks]
        first = [found for run, found in mine if run.seed == 1]
        of = {task: [found for run, found in mine if task in run.tasks] for task in tasks}
        seconds_per_word = sum(1 / found["train_words_per_second"] for _, found in mine) * len(first) / len(mine)
        schemes[name] = Scheme(
            scores={task: [found["scores"][task] for found in of[task]] for task in tasks},
            counts={task: np.sum([found["counts"][task] for found in of[task]], axis=0) for task in tasks},
            parameters=sum(found["parameters"] for found in first),
            speed=1 / seconds_per_word,
        )
    return schemes


def against_first(schemes: Mapping[str, Scheme]) -> dict[str, dict[str, Comparison]]:
    """Paired bootstrap of each scheme and task against the first: the single-task models, if there are any."""
    (_, first), *others = schemes.items()
    return {
        name: {task: paired_bootstrap(counts, first.counts[task]) for task, counts in scheme.counts.items()}
        for name, scheme in others
    }


def table(schemes: Mapping[str, Scheme], compared: Mapping[str, Mapping[str, Comparison]]) -> list[str]:
    """Schemes x tasks in Markdown."""
    tasks = list(next(iter(schemes.values())).scores)
    lines = [
        f"| scheme | {' | '.join(tasks)} | mean | parameters, M | train words/s |",
        f"|---|{'--:|' * (len(tasks) + 3)}",
    ]
    for name, scheme in schemes.items():
        marks = {task: mark(one) for task, one in compared.get(name, {}).items()}
        cells = [f"{spread(scheme.scores[task])}{marks.get(task, '')}" for task in tasks]
        numbers = [spread(scheme.means), f"{scheme.parameters / 1e6:.2f}", f"{scheme.speed:,.0f}"]
        lines.append(f"| {' | '.join([name, *cells, *numbers])} |")
    return lines


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.2f} ± {stdev(values) if len(values) > 1 else 0.0:.2f}"


def mark(comparison: Comparison) -> str:
    """Whether the difference is more than luck, and its direction."""
    if comparison.p_value >= LEVEL:
        return ""
    return " ↑" if comparison.delta > 0 else " ↓"


def note(base: RecipeSpec, *, split: str, rows: int, seeds: int, alone: bool, compared: bool) -> str:
    """What the table shows, in words; ``compared``: it has a scheme that is compared with the first."""
    joined = [f"{name} with {spec.predicates}" for name, spec in base.tasks.items() if spec.predicates]
    together = f", {' and '.join(joined)}" if joined else ""
    single = (
        f" `{SINGLE}`: each task of `{base.name}` by a model of its own{together}; its parameters are those of all "
        "these models, its words/s what is left when they train one after the other."
    )
    arrows = (
        f" ↑ ↓: better or worse than `{SINGLE if alone else base.name}`, p < {LEVEL} by a paired bootstrap of the "
        "sentences, counts added up over seeds."
    )
    return (
        f"{split.capitalize()} scores, mean ± standard deviation of {seeds} seed{'s' if seeds > 1 else ''}; "
        f"{f'the first {rows:,}' if rows else 'all'} training rows.{single if alone else ''}"
        f"{arrows if compared else ''}"
    )


def main() -> None:
    """Do all runs and print the table, then the JSON line."""
    parser = comparison_options(__doc__, out=Path("runs/compare"))
    parser.add_argument("recipes", nargs="+", help="files or names; the first is the base of the single-task models")
    parser.add_argument("--task", dest="tasks", action="append", default=[], help="only this task; repeatable")
    parser.add_argument(
        "--against-base", action="store_true", help="train no task alone; compare with the first recipe"
    )
    arguments = parser.parse_args()
    check_comparison(parser, arguments)
    rows, split, alone = arguments.train_rows, "dev" if arguments.dev_only else "test", not arguments.against_base
    runs = plan(
        arguments.recipes,
        seeds=arguments.seeds,
        rows=rows,
        corpus=arguments.corpus,
        out=arguments.out,
        overrides=arguments.overrides,
        tasks=arguments.tasks,
        alone=alone,
    )
    execute(runs, corpus=arguments.corpus, split=split, jobs=arguments.jobs)
    base = load_recipe(arguments.recipes[0], overrides=arguments.overrides)[0]
    base = restricted(base, arguments.tasks) if arguments.tasks else base
    schemes = collected(runs, split=split)
    compared = against_first(schemes)
    described = machine_of(arguments.jobs)
    described_scores = note(base, split=split, rows=rows, seeds=arguments.seeds, alone=alone, compared=bool(compared))
    lines = [*table(schemes, compared), "", described_scores]
    print("\n".join(lines), end="\n\n")
    chosen = "".join(f"-{task}" for task in arguments.tasks) + ("" if alone else "-against-base")
    name = f"compare_{base.name}{chosen}-{rows or 'all'}{'-dev' if arguments.dev_only else ''}"
    if arguments.markdown:
        write_results(name, lines, described=described)
    record = json.dumps(
        {
            "benchmark": name,
            "machine": described,
            "schemes": {
                key: {
                    "scores": scheme.scores,
                    "mean": scheme.means,
                    "parameters": scheme.parameters,
                    "train_words_per_second": round(scheme.speed, 1),
                    f"against_{SINGLE if alone else 'base'}": {
                        task: asdict(one) for task, one in compared.get(key, {}).items()
                    },
                }
                for key, scheme in schemes.items()
            },
        }
    )
    (arguments.out / f"{name}.json").write_text(record + "\n", encoding="utf-8")
    print(record)


if __name__ == "__main__":
    run_script(main)
