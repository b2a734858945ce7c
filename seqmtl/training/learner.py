"""One step of the optimiser."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from rich.console import Console
from torch import Tensor

from seqmtl.batch import Batch
from seqmtl.compiling import compile_transformer
from seqmtl.data.batching import deal
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import Drawn, Step
from seqmtl.data.tasks import Task
from seqmtl.encoders.lora import merged
from seqmtl.errors import TrainingError
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.losses import Losses
from seqmtl.objectives.weighting import joint_loss
from seqmtl.sharing.base import Coupling
from seqmtl.specs.encoders import TransformerEncoderSpec
from seqmtl.training.optimisation import build_optimizer, build_schedule
from seqmtl.training.phases import build_phases
from seqmtl.training.setup import Prepared
from seqmtl.training.sharded import gathered, placed, plan_shards, whole


@dataclass(frozen=True)
class Lesson:
    """A step with the batches of this process, which can be made before its turn.

    Attributes:
        step: what to learn from.
        micro_batches: rows and batch of each; every process has as many.
        halved: whether they were cut in two.
    """

    step: Step
    micro_batches: Sequence[tuple[Sequence[Drawn], Batch]]
    halved: bool


@dataclass(frozen=True)
class Cost:
    """What one micro-batch of this process cost."""

    rows: Sequence[Drawn]
    losses: Losses


@dataclass(frozen=True)
class Taken:
    """A step that was taken.

    Attributes:
        costs: of the micro-batches of this process.
        gradient_norm: of all parameters together, before it was clipped; the same on all processes.
    """

    costs: Sequence[Cost]
    gradient_norm: Tensor


class Learner:
    """The model with its optimiser and its schedule.

    When a step does not fit into memory, its micro-batches and those of all later steps are cut in two, once: the token
    budget is halved, and what a step learns from stays the same. With several processes that would need a word between
    them in the middle of a step, which no process that ran out of memory can be trusted to say: then it is an error.
    """

    def __init__(self, prepared: Prepared, *, steps: int, accelerator: Accelerator, console: Console) -> None:
        """Learn for ``steps`` steps.

        Raises:
            EncoderError: when ``layer_decay`` does not fit the encoder.
        """
        recipe = prepared.recipe
        self.plain_optimizer = build_optimizer(prepared.model, recipe.training)
        self.schedule = build_schedule(self.plain_optimizer, recipe.training, steps=steps)
        self._blank: SeqMTLModel | None = None
        if accelerator.is_fsdp2:
            self._blank = deepcopy(prepared.model)  # before the other is cut in shards
            assert accelerator.state.fsdp_plugin is not None
            plan_shards(accelerator.state.fsdp_plugin, prepared.model)
        if recipe.training.compiled:
            compile_transformer(prepared.model)
        self.wrapped, self.optimizer = accelerator.prepare(prepared.model, self.plain_optimizer)
        self.model: SeqMTLModel = accelerator.unwrap_model(self.wrapped)
        self.phases = build_phases(recipe, self.model)
        self.halved = False
        self._adapted = isinstance(recipe.encoder, TransformerEncoderSpec) and recipe.encoder.lora is not None
        self._collate = Collator(prepared.indexer, prepared.tasks)
        self._weights = {task.name: task.spec.weight for task in prepared.tasks}
        self._tokens = recipe.mixture.tokens_per_batch
        self._clip_norm = recipe.training.clip_norm
        self._pinned = accelerator.device.type == "cuda"  # which fetches batches by itself
        self._scaler = accelerator.scaler  # of gradients in fp16: a step whose gradients overflow moves no parameter
        self._accelerator = accelerator
        self._console = console

    @property
    def rate(self) -> float:
        """The learning rate of the first group in the next step."""
        return float(self.schedule.get_last_lr()[0])

    def usable(self) -> SeqMTLModel:
        """The model as it is now, whole and without adapters: itself or a copy; every process calls this."""
        return merged(self._whole()) if self._adapted else self._whole()

    def coupling(self) -> Coupling:
        """What the sharing scheme has learned so far; every process calls this."""
        if self._blank is None:
            return self.model.sharing.coupling()
        self._blank.sharing.load_state_dict(gathered(self.model.sharing.state_dict()))
        return self._blank.sharing.coupling()

    def lesson(self, step: Step) -> Lesson:
        """Make the batches of a step; another thread may do so."""
        halved, parts = self.halved, step.micro_batches
        if halved:
            parts = [half for rows in parts for half in halves(rows)]
        parts = [rows or without_layers(step) for rows in parts]
        batches = [self._collate(rows, only=step.task) for rows in parts]
        if self._pinned:
            batches = [batch.pin_memory() for batch in batches]
        return Lesson(step, list(zip(parts, batches, strict=True)), halved)

    def learn(self, lesson: Lesson, *, words: Mapping[str, int], epoch: int) -> Taken:
        """Take a step.

        Args:
            lesson: what to learn from.
            words: labelled words of each task in it, on all processes.
            epoch: in which it is taken.

        Raises:
            TrainingError: when it does not fit into memory.
        """
        if lesson.halved != self.halved:  # it was made before the step in which memory was too small
            lesson = self.lesson(lesson.step)
        while (costs := self._add_gradients(lesson, words)) is None:
            self._halve()
            lesson = self.lesson(lesson.step)
        if self.phases and lesson.step.task:
            self.phases.add_gradient(epoch, lesson.step.task)
        rest_absent_tasks(self.model, words)
        norm = self._update()
        self.schedule.step()
        self.optimizer.zero_grad()
        return Taken(costs, norm)

    def state_dict(self) -> dict[str, Any]:
        """What it has learned, how it goes on learning; every process calls this, and the first has what is whole."""
        main = self._accelerator.is_main_process
        return {
            "model": gathered(self.model.state_dict(), keep=main),
            "optimizer": with_names(gathered(self.optimizer.state_dict(), keep=main)),
            "schedule": self.schedule.state_dict(),
            "phases": self.phases.state_dict() if self.phases else None,
            "scaler": self._scaler.state_dict() if self._scaler else None,
            "halved": self.halved,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        mine = self.model.state_dict()
        self.model.load_state_dict({name: placed(value, like=mine[name]) for name, value in state["model"].items()})
        self.optimizer.load_state_dict(self._placed_moments(with_numbers(state["optimizer"])))
        self.schedule.load_state_dict(state["schedule"])
        if self.phases:
            self.phases.load_state_dict(state["phases"])
        if self._scaler:
            self._scaler.load_state_dict(state["scaler"])
        self.halved = state["halved"]

    def _whole(self) -> SeqMTLModel:
        """The model itself, or a copy gathered from its shards."""
        if self._blank is None:
            return self.model
        self._blank.load_state_dict(gathered(self.model.state_dict()))
        return deepcopy(self._blank).to(self._accelerator.device)  # type: ignore[arg-type]  # transformers' stub wants a module

    def _placed_moments(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state of the optimiser, with the moments where their parameters are."""
        parameters = [p for group in self.plain_optimizer.param_groups for p in group["params"]]
        placed_moments = {
            number: {name: placed(value, like=parameters[number]) for name, value in moments.items()}
            for number, moments in state["state"].items()
        }
        return {**state, "state": placed_moments}

    def _add_gradients(self, lesson: Lesson, words: Mapping[str, int]) -> list[Cost] | None:
        """The costs of this process's micro-batches, once backward; None when they do not fit into memory."""
        costs = []
        try:
            for number, (rows, collated) in enumerate(lesson.micro_batches):
                batch = collated.to(self._accelerator.device, non_blocking=self._pinned)
                last = number == len(lesson.micro_batches) - 1
                with torch.enable_grad() if last else self._accelerator.no_sync(self.wrapped):
                    losses = self.wrapped(batch.inputs, batch.targets)
                    loss = joint_loss(
                        losses,
                        weights=self._weights,
                        words=words,
                        processes=self._accelerator.num_processes,
                        micro_batches=len(lesson.micro_batches),
                    )
                    self._accelerator.backward(loss)
                costs.append(Cost(rows, losses.detach()))
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            return None
        return costs

    def _update(self) -> Tensor:
        """Let the optimiser take the gradients, clipped; returns their norm before that."""
        if all(parameter.grad is None for parameter in self.wrapped.parameters()):  # what was drawn teaches nothing
            self.plain_optimizer.step()  # of no parameter, where a scaler would miss the gradients
            return torch.zeros(())
        norm = self._accelerator.clip_grad_norm_(self.wrapped.parameters(), self._clip_norm)
        self.optimizer.step()
        assert norm is not None  # as it is on a TPU alone
        return whole(norm)

    def _halve(self) -> None:
        """Go on with half the memory, after what did not fit has been let go."""
        budget = f"mixture.tokens_per_batch is {self._tokens}"
        if self._accelerator.num_processes > 1 or self.halved:
            halved = ", and batches are cut in two already" if self.halved else ""
            raise TrainingError(
                f"out of memory: {budget}{halved}; lower it, and raise training.accumulation as much, which keeps the "
                "steps as they are"
            )
        self.halved = True
        self.optimizer.zero_grad()
        clear_device_cache(garbage_collection=True)
        self._console.print(
            f"out of memory: {budget}; from here on batches are cut in two, in the same steps", style="yellow"
        )


def labelled_words(tasks: Mapping[str, Task], step: Step) -> dict[str, int]:
    """Labelled words of each task in the whole step, on all processes; known without asking them."""
    learning = {name: task for name, task in tasks.items() if step.task in (None, name)}
    words = {name: sum(task.weight_of(row, corpus=c) for c, row in step.rows) for name, task in learning.items()}
    return dict.fromkeys(tasks, 0) | words


def without_layers(step: Step) -> list[Drawn]:
    """A sentence without any annotation, for a process that was dealt none: its backward pass must meet the others'."""
    corpus, row = step.rows[0]
    return [(corpus, {"id": row["id"], "tokens": row["tokens"]})]


def halves(rows: Sequence[Drawn]) -> list[list[Drawn]]:
    """Rows dealt in two, by their words."""
    parts = deal(range(len(rows)), [len(row["tokens"]) for _, row in rows], shards=2)
    return [[rows[position] for position in part] for part in parts]


def rest_absent_tasks(model: SeqMTLModel, words: Mapping[str, int]) -> None:
    """Take away the (zero) gradients of what only absent tasks use: neither decay nor moments may move it.

    Where all are absent that is everything, the encoder and what penalties ask for, too.
    """
    present = {task for task, count in words.items() if count}
    if len(present) == len(words):
        return
    for parameter in model.resting_parameters(present) if present else model.parameters():
        parameter.grad = None


def with_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of an optimiser, whose moments go by number, with strings for numbers, as JSON has them."""
    return {**state, "state": {str(number): moments for number, moments in state["state"].items()}}


def with_numbers(state: Mapping[str, Any]) -> dict[str, Any]:
    """What ``with_names`` was given."""
    return {**state, "state": {int(name): moments for name, moments in state["state"].items()}}
