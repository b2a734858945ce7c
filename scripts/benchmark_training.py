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

import torch
from _benchmark import Figure, options, report
from torch.nn.utils import clip_grad_norm_

from seqmtl.batch import Batch
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import BatchStream, Mixture
from seqmtl.data.tasks import Task
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.recipe import load_recipe
from seqmtl.training.optimisation import build_optimizer
from seqmtl.training.setup import Prepared, prepare

BAR = 1 / 1.35


class Learner:
    """One model with its optimiser."""

    def __init__(self, prepared: Prepared, tasks: list[Task]) -> None:
        self.names = [task.name for task in tasks]
        config = prepared.recipe
        self.model = SeqMTLModel.from_encoder(
            config.encoder, tasks=tasks, sharing=config.sharing, sizes=prepared.model.config.sizes
        ).train()
        self.optimizer = build_optimizer(self.model, config.training)

    def step(self, batch: Batch, words: dict[str, int]) -> None:
        """A full optimiser step on the targets of this learner's tasks."""
        losses = self.model(batch.inputs, {name: batch.targets[name] for name in self.names})
        weights = dict.fromkeys(self.names, 1.0)
        joint_loss(losses, weights=weights, words=words, processes=1, micro_batches=1).backward()
        clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def main() -> int:
    """Run all learners over the same batches."""
    arguments = options(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    recipe, folder = load_recipe("ewt_hard", overrides=["corpora.ewt.limit={train: 4000}"])
    prepared = prepare(recipe, folder=folder)
    learners = {"joint": Learner(prepared, list(prepared.tasks))}
    learners |= {task.name: Learner(prepared, [task]) for task in prepared.tasks}
    mixture = Mixture(prepared.train, recipe.mixture, seed=1, epochs=1)
    stream = BatchStream(mixture, length=prepared.indexer.length, rank=0, processes=1, accumulation=1)
    steps = [step for step, _ in zip(stream, range(8 if arguments.quick else 30), strict=False)]
    collate = Collator(prepared.indexer, prepared.tasks)
    times: dict[str, list[float]] = {name: [] for name in learners}
    for number, step in enumerate(steps):
        batch = collate(step.rows)
        words = {t.name: max(1, sum(t.weight_of(row, corpus=c) for c, row in step.rows)) for t in prepared.tasks}
        order = list(learners) if number % 2 == 0 else list(reversed(learners))
        for name in order:
            began = time.perf_counter()
            learners[name].step(batch, words)
            times[name].append((time.perf_counter() - began) * 1000)
    warm = {name: values[2:] for name, values in times.items()}
    n_words = [sum(len(row["tokens"]) for _, row in step.rows) for step in steps[2:]]
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
