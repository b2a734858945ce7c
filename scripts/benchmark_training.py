"""Time a joint training step against the steps of the same heads trained one at a time.

    python scripts/benchmark_training.py
    python scripts/benchmark_training.py --quick --check

The recipe is ``ewt_hard``: five heads on MiniLM. All six models take a full step (forward, backward, clipping, AdamW)
on the same batches in turn. The bar: a joint epoch costs at most 1.35 times that of the slowest single task, so the
ratio slowest / joint is at least 0.74; "all tasks" is the sum over single tasks, what training them one by one would
cost. Every figure is a median over the steps after the first two.
"""

import sys
import time
from statistics import median

from _benchmark import Figure, options, report, set_up
from _learner import Learner, lessons

from seqmtl.specs.recipe import load_recipe
from seqmtl.training.setup import prepare

BAR = 1 / 1.35


def main() -> int:
    """Run all learners over the same batches."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    recipe, folder = load_recipe("ewt_hard", overrides=["corpora.ewt.limit={train: 4000}"])
    prepared = prepare(recipe, folder=folder)
    sharing = prepared.recipe.sharing
    learners = {"joint": Learner(prepared, prepared.tasks, sharing)}
    learners |= {task.name: Learner(prepared, [task], sharing) for task in prepared.tasks}
    steps = lessons(prepared, prepared.tasks, count=8 if arguments.quick else 30)
    times: dict[str, list[float]] = {name: [] for name in learners}
    for number, lesson in enumerate(steps):
        order = list(learners) if number % 2 == 0 else list(reversed(learners))
        for name in order:
            began = time.perf_counter()
            learners[name].step(lesson)
            times[name].append((time.perf_counter() - began) * 1000)
    warm = {name: values[2:] for name, values in times.items()}
    n_words = [int(lesson.batch.inputs.word_mask.sum()) for lesson in steps[2:]]
    for name, values in warm.items():
        print(f"{name:10s} {1000 * sum(n_words) / sum(values):8.0f} words/s")
    return report("training", figures_of(warm), arguments)


def figures_of(times: dict[str, list[float]]) -> dict[str, Figure]:
    """Medians of the milliseconds that each learner took, step by step."""
    joint = median(times["joint"])
    singles = {name: values for name, values in times.items() if name != "joint"}
    slowest = max(singles, key=lambda name: median(singles[name]))
    one_by_one = median(sum(step) for step in zip(*singles.values(), strict=True))
    return {
        f"slowest single task ({slowest})": Figure(joint, median(singles[slowest]), BAR),
        "all tasks one by one": Figure(joint, one_by_one, 1.0),
    }


if __name__ == "__main__":
    sys.exit(main())
