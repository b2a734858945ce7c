"""Pseudo-task augmentation in training: which decoder of each task is best, and what becomes of the others.

The method is the subject of US patent 12,033,079 B2; it is off unless a recipe asks for it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch.optim import Optimizer

from seqmtl.data.rows import Row
from seqmtl.errors import ConfigError
from seqmtl.evaluation.decoders import EachDecoder
from seqmtl.evaluation.evaluator import Processes, predict_rows, score_rows
from seqmtl.evaluation.scores import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.pseudo_tasks import PseudoTasksSpec
from seqmtl.training.dec_update import dec_update
from seqmtl.training.frozen import freeze_all_but_first, rest_without_gradient
from seqmtl.training.history import BEST_DECODERS, META_ITERATION, History
from seqmtl.training.selection import mean_over_corpora
from seqmtl.training.setup import Prepared

Costs = dict[str, list[float]]


class PseudoTasks:
    """The outer loop of Algorithm 1 of Meyerson and Miikkulainen (2018); a meta-iteration is ``every`` steps.

    The cost ``c_td`` of a decoder is 1 minus the main score of its task (accuracy, F1) on the control rows, as a mean
    over corpora; of equal ones the first leads. Roles are scored on gold predicates. One encoder pass per batch serves
    all decoders of all tasks. Every process has all predictions, and so comes to the same costs; noise has a generator
    of its own, seeded by run, meta-iteration and task, so it is the same on all processes and in a run that is resumed.

    All tasks are compared with the decoders that predicted so far, then all of them change: under JMT, where upper
    tasks read what lower ones predict, their costs are those with the former best decoders of these.

    Deviation: the paper chooses by a validation split, on which it reports as well; control rows are a part of the
    training rows set aside unless ``control`` is ``dev``, so that dev remains for selecting the model.
    """

    def __init__(
        self,
        spec: PseudoTasksSpec,
        model: SeqMTLModel,
        optimizer: Optimizer,
        *,
        judge: EachDecoder,
        control: Mapping[str, list[Row]],
        seed: int,
        processes: Processes,
    ) -> None:
        """Take charge of the decoders of ``model``.

        Args:
            spec: what is asked for.
            model: some of whose tasks have several decoders.
            optimizer: of all its parameters.
            judge: annotates with the decoders of those tasks.
            control: the rows on which they are compared, per corpus.
            seed: of the noise.
            processes: of which this is one.
        """
        self.spec = spec
        self.model = model
        self.optimizer = optimizer
        self.judge = judge
        self.control = control
        self.seed = seed
        self.processes = processes

    def after_step(self, step: int, history: History | None) -> None:
        """At the end of a meta-iteration compare all decoders, then update them; ``step`` counts from 1."""
        number, rest = divmod(step, self.spec.every)
        if rest:
            return
        leaders = self._compare(META_ITERATION, step, history)
        for position, (task, leader) in enumerate(leaders.items()):
            rng = np.random.default_rng((self.seed, number, position))
            best = dec_update(self.model.head(task), self.optimizer, self.spec, leader=leader, rng=rng)
            self.model.choose_decoder(task, best)

    def choose(self, step: int, history: History | None) -> None:
        """Compare all decoders as they are now, so that of each task the best predicts (eq. 5)."""
        self._compare(BEST_DECODERS, step, history)

    def published(self, model: SeqMTLModel) -> SeqMTLModel:
        """The model for a checkpoint: with the best decoder of each task alone, unless all are to be kept."""
        return model if self.spec.keep_decoders else model.with_best_decoders()

    def costs(self) -> Costs:
        """The control cost of each decoder of each task."""
        tasks = {task: self.model.tasks[task] for task in self.judge.tasks}
        scores: list[dict[str, dict[str, TaskScore]]] = [{} for _ in range(self.judge.decoders)]
        for corpus, rows in self.control.items():
            said = predict_rows(self.judge, rows, processes=self.processes)  # for each row what each decoder says
            for number, of_decoder in enumerate(scores):
                mine = [by_decoder[number] for by_decoder in said]
                of_decoder[corpus] = score_rows(tasks, rows=rows, predictions=mine, corpus=corpus)
        means = [mean_over_corpora(of_decoder) for of_decoder in scores]
        return {task: [1.0 - mean[task] for mean in means] for task in tasks}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know beside parameters, rates and moments: JSON values."""
        return {"best": {task: self.model.best_decoder(task) for task in self.judge.tasks}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; model and optimiser have theirs."""
        for task, best in state["best"].items():
            self.model.choose_decoder(task, best)

    def _compare(self, kind: str, step: int, history: History | None) -> dict[str, int]:
        """The decoder of each task with the least cost, which predicts from now on; written as an event of ``kind``."""
        costs = self.costs()
        leaders = {task: values.index(min(values)) for task, values in costs.items()}
        for task, leader in leaders.items():
            self.model.choose_decoder(task, leader)
        if history:
            rates = {task: self.model.head(task).scorer.rates for task in costs}
            own = {task: values.tolist() for task, values in rates.items() if values is not None}
            history.add(kind, step, {"costs": costs, "leaders": leaders, "rates": own})
        return leaders


def build_pseudo_tasks(
    prepared: Prepared, optimizer: Optimizer, *, steps: int, processes: Processes
) -> PseudoTasks | None:
    """What controls the decoders of a run of so many steps; None when each task has one.

    Raises:
        ConfigError: when the run is over before its first update.
    """
    spec, model = prepared.recipe.pseudo_tasks, prepared.model
    tasks = [] if spec is None else list(spec.decoder_specs(tuple(model.tasks)))
    if spec is None or not tasks:
        return None
    if spec.update and spec.every > steps:
        raise ConfigError(
            f"pseudo_tasks.every: {spec.every}, but the run has {steps} steps, so that {', '.join(spec.update)} would "
            "never happen; lower it"
        )
    own = [parameter for task in tasks for parameter in model.head(task).own_parameters()]
    if "freeze" in spec.init:
        freeze_all_but_first(own)
    if "freeze" in spec.init or model.sharing.reads(tuple(model.tasks)):  # which read the best decoder of a task only
        rest_without_gradient(own, optimizer)
    return PseudoTasks(
        spec,
        model,
        optimizer,
        judge=EachDecoder(model, prepared.indexer, tasks=tasks),
        control=prepared.control,
        seed=prepared.recipe.training.seed,
        processes=processes,
    )
