"""A run of training, to be read from top to bottom."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, load_recipe_of, read_metrics, save_checkpoint, save_metrics, save_recipe
from seqmtl.data.mixture import BatchStream, Mixture
from seqmtl.data.rows import Row
from seqmtl.errors import ConfigError, DataError
from seqmtl.evaluation.evaluator import predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.evaluation.report import score_table, scores_from_json, scores_to_json
from seqmtl.evaluation.scores import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.coupling import moving
from seqmtl.specs.training import TrainingSpec
from seqmtl.training.course import Course
from seqmtl.training.folder import BEST, CONFIG, clear_folder, tidy_folder
from seqmtl.training.history import History
from seqmtl.training.interruption import Interruption
from seqmtl.training.learner import Learner, Lesson, labelled_words
from seqmtl.training.loss_watch import LossWatch
from seqmtl.training.losses import RunningLosses
from seqmtl.training.mixed import Mixed
from seqmtl.training.phases import tasks_in_turn
from seqmtl.training.progress import Watch, watch
from seqmtl.training.pseudo_tasks import build_pseudo_tasks
from seqmtl.training.random_state import RandomState
from seqmtl.training.report import mixture_table
from seqmtl.training.resume import check_finished, check_same_run, facts_of
from seqmtl.training.selection import Selection, mean_over_corpora
from seqmtl.training.setup import Prepared
from seqmtl.training.states import Stateful, States

LOG_EVERY = 20  # steps between looks at the losses: each look waits for the device

Scores = dict[str, dict[str, TaskScore]]  # per corpus and task


def train(prepared: Prepared, out: Path, *, console: Console, accelerator: Accelerator, resume: bool = False) -> Scores:
    """Train a model, keep the best by mean dev score, and score it on the test splits.

    The run folder ``out`` becomes the checkpoint: weights, configuration, tokenizer or vocabularies, ``recipe.yaml``,
    ``history.jsonl``, ``training.png`` and ``metrics.json``. Until then it has the newest states of the run, too, from
    which it goes on with ``resume``; without, a former run in ``out`` is removed.

    Returns:
        Test scores per corpus and task.

    Raises:
        ConfigError: when the mixture does not fit the corpora, or the run to resume is another one; like an
            EncoderError of ``layer_decay``, it comes before anything in ``out`` is touched.
        DataError: when the streamed corpora turn out to be empty.
        StoppedError: when a signal asked for it; ``resume`` goes on.
        TrainingError: when a loss or a gradient is not finite, memory is too small, or the disk is full.
    """
    run = Run(prepared, out, console=console, accelerator=accelerator)
    if resume and (scores := run.finished()) is not None:
        return scores
    with Interruption(accelerator, out=out) as interruption:
        run.begin(resume=resume)
        while not run.over:
            with run.begin_epoch() as bar:
                for lesson in run.lessons():
                    run.learn(lesson)
                    run.log(bar)
                    stop = interruption.asked()
                    if stop or run.is_save_due():
                        run.save()
                    if stop:
                        raise interruption.stopped()
            with interruption.at_once():
                run.finish_epoch()
        with interruption.at_once():
            return run.finish()


class Run:
    """What a run consists of, and what is done with it.

    Whatever decides its future is a part of its state: in ``shared`` when all processes have the same, in ``own``
    otherwise. A new part is a line there.
    """

    def __init__(self, prepared: Prepared, out: Path, *, console: Console, accelerator: Accelerator) -> None:
        """Build all parts; nothing in ``out`` is touched.

        Raises:
            ConfigError, EncoderError: when they do not fit.
        """
        self.prepared, self.out, self.console, self.accelerator = prepared, out, console, accelerator
        self.spec = prepared.recipe.training
        self.tasks = {task.name: task for task in prepared.tasks}
        if accelerator.process_index > 0:  # otherwise all processes would draw the same dropout masks
            torch.manual_seed(self.spec.seed + accelerator.process_index)
        self.mixture = Mixture(prepared.train, prepared.recipe.mixture, seed=self.spec.seed, epochs=self.spec.epochs)
        self.stream = BatchStream(
            self.mixture,
            length=prepared.indexer.length,
            rank=accelerator.process_index,
            processes=accelerator.num_processes,
            accumulation=self.spec.accumulation,
            in_turn=tasks_in_turn(prepared.recipe, prepared.tasks),
        )
        self.steps = count_steps(self.stream, self.spec)
        self.learner = Learner(prepared, steps=self.steps, accelerator=accelerator, console=console)
        self.pseudo_tasks = build_pseudo_tasks(
            prepared, self.learner.plain_optimizer, steps=self.steps, processes=accelerator
        )
        self.course = Course()
        self.mixed = Mixed(self.tasks)
        self.running = RunningLosses(list(self.tasks), accelerator.device)
        self.selection = Selection(patience=self.spec.patience)
        self.loss_watch = LossWatch(out, accelerator=accelerator)
        self.history = History(out) if accelerator.is_main_process else None
        self.states = States(out, keep=self.spec.keep_states, accelerator=accelerator)
        self.shared: dict[str, Stateful] = {
            "learner": self.learner,
            "stream": self.stream,
            "course": self.course,
            "mixed": self.mixed,
            "selection": self.selection,
            **({"pseudo_tasks": self.pseudo_tasks} if self.pseudo_tasks else {}),
            **({"history": self.history} if self.history else {}),
        }
        self.own: dict[str, Stateful] = {"running": self.running, "random": RandomState(accelerator.device)}
        self.over = False

    @cached_property
    def facts(self) -> dict[str, Any]:
        """By which a state is known to be of this run."""
        return facts_of(self.prepared, steps=self.steps, accelerator=self.accelerator)

    def finished(self) -> Scores | None:
        """The test scores of the run in the folder, if it is finished and the one that is asked for.

        Raises:
            ConfigError: when it is another one.
        """
        metrics = read_metrics(self.out)
        if "best_epoch" not in metrics:
            return None
        check_finished(load_recipe_of(self.out)[0], self.prepared.recipe, out=self.out)
        self.say("is finished; there is nothing left to train")
        if self.accelerator.is_main_process:  # a kill may have been faster
            self.states.clear()
            tidy_folder(self.out)
        return {corpus: scores_from_json(by_task) for corpus, by_task in metrics["test"].items()}

    def begin(self, *, resume: bool) -> None:
        """Go on from the newest state, or start in a folder from which a former run has been removed.

        Raises:
            CheckpointError: when the state is broken.
            ConfigError: when it is not of this run, or there is none, but a checkpoint that would be removed.
        """
        if self.accelerator.is_main_process:
            tidy_folder(self.out)
        self.accelerator.wait_for_everyone()
        state = self.states.newest() if resume else None
        if resume and state is None and (self.out / CONFIG).exists():
            raise ConfigError(
                f"{self.out}: holds a checkpoint, but neither a state to go on from nor a finished run; choose another "
                "--out, or start anew without --resume, which removes it"
            )
        if state is None:
            coupling = self.learner.coupling()
            if resume:
                self.say("holds no state to go on from: training starts at the beginning")
            if self.history:
                clear_folder(self.out)
                self.history.start()
                self.history.add_coupling(0, coupling)
        else:
            saved = self.states.read_shared(state)
            check_same_run(saved["facts"], self.facts, out=self.out, step=saved["course"]["step"])
            for name, part in self.shared.items():
                part.load_state_dict(saved[name])
            saved = self.states.read_own(state)
            for name, part in self.own.items():
                part.load_state_dict(saved[name])
            self.say(f"training goes on after step {self.course.step:,} of {self.steps:,}")
        if self.history:
            save_recipe(self.out, self.prepared.recipe)

    def begin_epoch(self) -> AbstractContextManager[Watch]:
        """Begin an epoch, or what is left of it: a progress bar over its steps."""
        self.learner.wrapped.train()
        self.course.start_clock()
        of = "" if self.mixture.streamed else f"/{self.spec.epochs}"
        left = self.stream.steps(self.stream.epoch) - self.stream.step
        title = f"epoch {self.course.epoch + 1}{of}"
        return watch(self.console, title, total=min(left, self.steps - self.course.step))

    def lessons(self) -> Iterator[Lesson]:
        """The remaining steps of the epoch, or of the run; batches are made while the model learns from those before.

        A state counts the lessons that were given, not those that are made ahead.
        """
        return islice(self.stream.ahead(self.learner.lesson), self.steps - self.course.step)

    def learn(self, lesson: Lesson) -> None:
        """Take a step, and count it."""
        step = lesson.step
        words = labelled_words(self.tasks, step)
        taken = self.learner.learn(lesson, words=words, epoch=self.course.epoch + 1)
        self.course.step += 1
        self.loss_watch.add(self.course.step, taken)
        for cost in taken.costs:
            self.running.add(cost.losses)
        self.running.count(words)
        self.mixed.add(step, words)
        if self.pseudo_tasks:
            self.pseudo_tasks.after_step(self.course.step, self.history)
        self.course.read_clock()

    def log(self, bar: Watch) -> None:
        """Show and write what is due at this step: now and then how the model stands.

        Raises:
            TrainingError: when a loss or a gradient is not finite.
        """
        done = self.course.step
        bar.advance()
        if done % self.spec.log_coupling_every == 0:
            coupling = moving(self.learner.coupling())
            if self.history:
                self.history.add_coupling(done, coupling)
        if done % LOG_EVERY and done < self.steps:
            return
        self.loss_watch.look()
        means = self.running.take(sum_processes=self.accelerator.reduce)
        penalties = self.running.take_penalties(sum_processes=self.accelerator.reduce)
        bar.show(means)
        logged = {f"loss/{task}": loss for task, loss in means.items()}
        self.accelerator.log(logged | {f"penalty/{name}": p for name, p in penalties.items()}, step=done)
        if self.history:
            extra = {"penalties": penalties} if penalties else {}
            self.history.add("train", done, {"losses": means, **extra, "lr": self.learner.rate})

    def is_save_due(self) -> bool:
        """Whether a state is to be saved after this step, as after the last one of every epoch."""
        last = self.stream.step == self.stream.steps(self.stream.epoch) or self.course.step == self.steps
        return last or (self.spec.save_every is not None and self.course.step % self.spec.save_every == 0)

    def save(self) -> None:
        """Save the state after this step.

        Raises:
            TrainingError: when a loss or a gradient is not finite, or the disk is full; the state before is kept.
        """
        self.loss_watch.look()
        shared = {name: part.state_dict() for name, part in self.shared.items()}
        own = {name: part.state_dict() for name, part in self.own.items()}
        self.states.save(self.course.step, shared={"facts": self.facts, **shared}, own=own)

    def finish_epoch(self) -> None:
        """Report what the epoch drew; score dev when it is due, and keep the model if it is the best."""
        if not self.mixed.rows:
            raise DataError(
                f"epoch {self.course.epoch + 1} drew no row: {', '.join(self.mixture.streamed)} had none to give"
            )
        speed = self.mixed.words / self.course.seconds
        self._report_mixture()
        self.course.finish_epoch()
        self.mixed.clear()
        due = self.course.epoch % self.spec.evaluate_every == 0 or self.course.step >= self.steps
        if due and self.pseudo_tasks:
            self.pseudo_tasks.choose(self.course.step, self.history)
        if due and self.prepared.dev:
            self._score_dev(speed)
        self.over = self.course.step >= self.steps or self.selection.exhausted

    def finish(self) -> Scores:
        """Score the best model on the test splits, and write what is left to write."""
        main = self.accelerator.is_main_process
        coupling = self.learner.coupling()
        if not self.prepared.dev:
            model = self.learner.usable()
            if main:
                self._save_model(self.out, model)
        self.accelerator.wait_for_everyone()
        best, _ = load_checkpoint(self.out)  # on every process
        test = self._score(best.to(self.accelerator.device), self.prepared.test, split="test")
        for corpus, by_task in test.items():
            self.console.print(score_table(by_task, title=f"{corpus} test"))
        if self.history:
            self.history.add_coupling(self.course.step, coupling)
            self.history.plot()
            best_per_task = self.selection.best_per_task.items()
            save_metrics(
                self.out,
                {
                    "processes": self.accelerator.num_processes,
                    "best_epoch": self.selection.best_epoch,
                    "best_epoch_per_task": {task: number for task, (_, number) in best_per_task},
                    "test": {corpus: scores_to_json(by_task) for corpus, by_task in test.items()},
                },
            )
            self.states.clear()
        self.accelerator.end_training()
        return test

    def say(self, what: str) -> None:
        """Tell whoever watches something about the run folder."""
        self.console.print(f"{self.out}: {what}", markup=False, highlight=False, soft_wrap=True)

    def _report_mixture(self) -> None:
        """Show and write what this epoch drew."""
        number, labelled = self.course.epoch + 1, self.mixed.labelled
        shares = self.mixture.report(self.course.epoch, drawn=self.mixed.rows)
        self.console.print(mixture_table(shares, words=labelled, title=f"epoch {number} drew"))
        if self.history:
            rows = {share.corpus: share.drawn for share in shares}
            asked = {share.corpus: share.asked for share in shares}
            values = {"epoch": number, "rows": rows, "asked": asked, "words": labelled}
            self.history.add("mixture", self.course.step, values)

    def _score_dev(self, speed: float) -> None:
        """Score dev; the model becomes the checkpoint if it is the best so far."""
        main, epoch = self.accelerator.is_main_process, self.course.epoch
        model = self.learner.usable()
        scores = self._score(model, self.prepared.dev, split="dev")
        flat = mean_over_corpora(scores)
        self.accelerator.log({f"dev/{task}": score for task, score in flat.items()}, step=self.course.step)
        if self.history:
            values = {"epoch": epoch, "scores": flat, "words_per_second": speed, "stream": self.stream.state_dict()}
            self.history.add("dev", self.course.step, values)
            for corpus, by_task in scores.items():
                self.console.print(score_table(by_task, title=f"{corpus} dev, epoch {epoch}, {speed:,.0f} words/s"))
        if self.spec.save_best_per_task and main:
            for task in self.selection.improved(flat):
                self._save_model(self.out / BEST / task, model)
                save_recipe(self.out / BEST / task, self.prepared.recipe)
        if self.selection.update(flat, epoch) and main:
            self._save_model(self.out, model)
        self.accelerator.wait_for_everyone()

    def _save_model(self, folder: Path, model: SeqMTLModel) -> None:
        """Write a usable model: of each task the best decoder alone, unless all are to be kept."""
        save_checkpoint(
            folder, self.pseudo_tasks.published(model) if self.pseudo_tasks else model, self.prepared.indexer
        )

    def _score(self, model: SeqMTLModel, splits: Mapping[str, list[Row]], *, split: str) -> Scores:
        """Score a model on a split of each corpus, with the sentences dealt to all processes."""
        scores, annotator = {}, Annotator(model, self.prepared.indexer)
        for corpus, rows in splits.items():
            with watch(self.console, f"{corpus} {split}", total=len(rows)) as bar:
                predictions = predict_rows(annotator, rows, processes=self.accelerator, advance=bar.advance)
            scores[corpus] = score_rows(self.tasks, rows=rows, predictions=predictions, corpus=corpus)
        return scores


def count_steps(stream: BatchStream, spec: TrainingSpec) -> int:
    """Optimiser steps of the run, which the learning-rate schedule must know; no stream is read for it.

    Raises:
        ConfigError: when a corpus is streamed and ``max_steps`` is not set, or there is no step.
    """
    if not stream.mixture.streamed:
        steps = sum(stream.steps(epoch) for epoch in range(spec.epochs))
        if not steps:
            raise ConfigError(
                "mixture.schedule: no row that is drawn teaches any task; change mixture.rates or tasks.TASK.corpora"
            )
        return min(steps, spec.max_steps or steps)
    if spec.max_steps is None:
        raise ConfigError(
            f"training.max_steps: corpus {stream.mixture.streamed[0]!r} is streamed, so the steps of the run cannot be "
            "counted beforehand; set training.max_steps, at which such a run ends whatever training.epochs says"
        )
    return spec.max_steps
