"""The training loop, to be read from top to bottom."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console

from seqmtl.checkpoints import load_checkpoint, save_checkpoint, save_metrics, save_recipe
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import BatchStream, Mixture, Step
from seqmtl.data.tasks import Task
from seqmtl.errors import ConfigError, DataError, TrainingError
from seqmtl.evaluation.evaluator import predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.evaluation.report import score_table, scores_to_json
from seqmtl.evaluation.scores import TaskScore
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.weighting import joint_loss
from seqmtl.sharing.coupling import moving
from seqmtl.specs.training import TrainingSpec
from seqmtl.training.folder import BEST, clear_folder
from seqmtl.training.history import History
from seqmtl.training.losses import RunningLosses
from seqmtl.training.mixed import Mixed
from seqmtl.training.optimisation import build_optimizer, build_schedule
from seqmtl.training.phases import build_phases, tasks_in_turn
from seqmtl.training.progress import watch
from seqmtl.training.pseudo_tasks import build_pseudo_tasks
from seqmtl.training.report import mixture_table
from seqmtl.training.selection import Selection, mean_over_corpora
from seqmtl.training.setup import Prepared

LOG_EVERY = 20  # steps between looks at the losses: each look waits for the device
KEYS = {"distance": "weight"}  # of a penalty under `sharing`, where that is not its name


def train(
    prepared: Prepared, out: Path, *, console: Console, accelerator: Accelerator
) -> dict[str, dict[str, TaskScore]]:
    """Train a model, keep the best by mean dev score, and score it on the test splits.

    The run folder ``out`` becomes the checkpoint: weights, configuration, tokenizer or vocabularies, ``recipe.yaml``,
    ``history.jsonl``, ``training.png`` and ``metrics.json``.

    Returns:
        Test scores per corpus and task.

    Raises:
        ConfigError: when the mixture does not fit the corpora; like an EncoderError of ``layer_decay``, it comes before
            anything in ``out`` is touched.
        DataError: when the streamed corpora turn out to be empty.
        TrainingError: when a loss is not finite.
    """
    spec = prepared.recipe.training
    tasks = {task.name: task for task in prepared.tasks}
    weights = {name: task.spec.weight for name, task in tasks.items()}
    main = accelerator.is_main_process
    if accelerator.process_index > 0:  # otherwise all processes would draw the same dropout masks
        torch.manual_seed(spec.seed + accelerator.process_index)

    mixture = Mixture(prepared.train, prepared.recipe.mixture, seed=spec.seed, epochs=spec.epochs)
    stream = BatchStream(
        mixture,
        length=prepared.indexer.length,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulation=spec.accumulation,
        in_turn=tasks_in_turn(prepared.recipe, prepared.tasks),
    )
    steps = count_steps(stream, spec)

    optimizer = build_optimizer(prepared.model, spec)
    schedule = build_schedule(optimizer, spec, steps=steps)
    pseudo_tasks = build_pseudo_tasks(prepared, optimizer, steps=steps, processes=accelerator)
    history = start_run(prepared, out) if main else None  # nothing can be wrong with the recipe from here on

    wrapped, optimizer = accelerator.prepare(prepared.model, optimizer)
    model: SeqMTLModel = accelerator.unwrap_model(wrapped)
    phases = build_phases(prepared.recipe, model)
    collate = Collator(prepared.indexer, prepared.tasks)
    annotator = Annotator(model, prepared.indexer)
    selection = Selection(patience=spec.patience)
    running = RunningLosses(list(tasks), accelerator.device)

    done, epoch = 0, 0
    while done < steps and not selection.exhausted:
        epoch += 1
        wrapped.train()
        began, mixed = time.perf_counter(), Mixed(tasks)
        of = "" if mixture.streamed else f"/{spec.epochs}"
        with watch(console, f"epoch {epoch}{of}", total=min(stream.steps(epoch - 1), steps - done)) as bar:
            for step in stream:
                words = labelled_words(tasks, step)
                for number, rows in enumerate(step.micro_batches):
                    batch = collate(rows or without_layers(step), only=step.task).to(accelerator.device)
                    last = number == len(step.micro_batches) - 1
                    with torch.enable_grad() if last else accelerator.no_sync(wrapped):
                        losses = wrapped(batch.inputs, batch.targets)
                        loss = joint_loss(
                            losses,
                            weights=weights,
                            words=words,
                            processes=accelerator.num_processes,
                            micro_batches=len(step.micro_batches),
                        )
                        accelerator.backward(loss)
                    running.add(losses)
                if phases and step.task:
                    phases.add_gradient(epoch, step.task)
                rest_absent_tasks(model, words)
                accelerator.clip_grad_norm_(wrapped.parameters(), spec.clip_norm)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                running.count(words)
                mixed.add(step, words)
                done += 1
                bar.advance()
                if pseudo_tasks:
                    pseudo_tasks.after_step(done, history)
                if history and done % spec.log_coupling_every == 0:
                    history.add_coupling(done, moving(model.sharing.coupling()))
                if done % LOG_EVERY == 0 or done == steps:
                    means = running.take(sum_processes=accelerator.reduce)
                    penalties = running.take_penalties(sum_processes=accelerator.reduce)
                    check_finite(means, penalties, done)
                    bar.show(means)
                    logged = {f"loss/{task}": loss for task, loss in means.items()}
                    accelerator.log(logged | {f"penalty/{name}": p for name, p in penalties.items()}, step=done)
                    if history:
                        extra = {"penalties": penalties} if penalties else {}
                        history.add("train", done, {"losses": means, **extra, "lr": schedule.get_last_lr()[0]})
                if done >= steps:
                    break
        speed = mixed.words / (time.perf_counter() - began)
        if not mixed.rows:
            raise DataError(f"epoch {epoch} drew no row: {', '.join(mixture.streamed)} had none to give")
        shares = mixture.report(epoch - 1, drawn=mixed.rows)
        console.print(mixture_table(shares, words=mixed.labelled, title=f"epoch {epoch} drew"))
        if history:
            rows = {share.corpus: share.drawn for share in shares}
            asked = {share.corpus: share.asked for share in shares}
            history.add("mixture", done, {"epoch": epoch, "rows": rows, "asked": asked, "words": mixed.labelled})

        due = epoch % spec.evaluate_every == 0 or done >= steps
        if due and pseudo_tasks:
            pseudo_tasks.choose(done, history)
        if due and prepared.dev:
            scores = evaluate(annotator, tasks, prepared.dev, console=console, accelerator=accelerator, split="dev")
            flat = mean_over_corpora(scores)
            accelerator.log({f"dev/{task}": score for task, score in flat.items()}, step=done)
            if history:
                values = {"epoch": epoch, "scores": flat, "words_per_second": speed, "stream": stream.state_dict()}
                history.add("dev", done, values)
                for corpus, by_task in scores.items():
                    console.print(score_table(by_task, title=f"{corpus} dev, epoch {epoch}, {speed:,.0f} words/s"))
            if spec.save_best_per_task and main:
                for task in selection.improved(flat):
                    save_checkpoint(out / BEST / task, model, prepared.indexer)
                    save_recipe(out / BEST / task, prepared.recipe)
            if selection.update(flat, epoch) and main:
                save_checkpoint(out, model, prepared.indexer)
            accelerator.wait_for_everyone()
    if not prepared.dev and main:
        save_checkpoint(out, model, prepared.indexer)
    if pseudo_tasks and main:
        pseudo_tasks.finish([out, *(out / BEST).glob("*")])
    accelerator.wait_for_everyone()

    best, _ = load_checkpoint(out)  # on every process
    annotator = Annotator(best.to(accelerator.device), prepared.indexer)
    test = evaluate(annotator, tasks, prepared.test, console=console, accelerator=accelerator, split="test")
    for corpus, by_task in test.items():
        console.print(score_table(by_task, title=f"{corpus} test"))
    if history:
        history.add_coupling(done, model.sharing.coupling())
        history.plot()
        save_metrics(
            out,
            {
                "processes": accelerator.num_processes,
                "best_epoch": selection.best_epoch,
                "best_epoch_per_task": {task: number for task, (_, number) in selection.best_per_task.items()},
                "test": {corpus: scores_to_json(by_task) for corpus, by_task in test.items()},
            },
        )
    accelerator.end_training()
    return test


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


def start_run(prepared: Prepared, out: Path) -> History:
    """Remove a former run from ``out`` and begin a new one."""
    clear_folder(out)
    history = History(out)
    history.add_coupling(0, prepared.model.sharing.coupling())
    save_recipe(out, prepared.recipe)
    return history


def evaluate(
    annotator: Annotator,
    tasks: Mapping[str, Task],
    splits: Mapping[str, list],
    *,
    console: Console,
    accelerator: Accelerator,
    split: str,
) -> dict[str, dict[str, TaskScore]]:
    """Score a model on a split of each corpus, with the sentences dealt to all processes."""
    scores = {}
    for corpus, rows in splits.items():
        with watch(console, f"{corpus} {split}", total=len(rows)) as bar:
            predictions = predict_rows(annotator, rows, processes=accelerator, advance=bar.advance)
        scores[corpus] = score_rows(tasks, rows=rows, predictions=predictions, corpus=corpus)
    return scores


def labelled_words(tasks: Mapping[str, Task], step: Step) -> dict[str, int]:
    """Labelled words of each task in the whole step, on all processes; known without asking them."""
    learning = {name: task for name, task in tasks.items() if step.task in (None, name)}
    words = {name: sum(task.weight_of(row, corpus=c) for c, row in step.rows) for name, task in learning.items()}
    return dict.fromkeys(tasks, 0) | words


def without_layers(step: Step) -> list[tuple[str, dict]]:
    """A sentence without any annotation, for a process that was dealt none: its backward pass must meet the others'."""
    corpus, row = step.rows[0]
    return [(corpus, {"tokens": row["tokens"]})]


def rest_absent_tasks(model: SeqMTLModel, words: Mapping[str, int]) -> None:
    """Take away the (zero) gradients of what only absent tasks use: neither decay nor moments may move it."""
    present = {task for task, count in words.items() if count}
    for parameter in model.resting_parameters(present) if len(present) < len(words) else ():
        parameter.grad = None


def check_finite(losses: Mapping[str, float], penalties: Mapping[str, float], step: int) -> None:
    """Stop the run when a loss or a penalty is not finite; where both are, either may have been the first."""
    keys = {name: f"sharing.{KEYS.get(name, name)}" for name, value in penalties.items() if not math.isfinite(value)}
    found = [f"the penalty {name!r} ({key}) is {penalties[name]}" for name, key in keys.items()]
    found += [f"the loss of task {task!r} is {loss}" for task, loss in losses.items() if not math.isfinite(loss)]
    if found:
        remedies = ["lower training.learning_rates", "lengthen training.warmup", *(f"lower {k}" for k in keys.values())]
        raise TrainingError(
            f"{' and '.join(found)} within the {LOG_EVERY} steps up to step {step}; {', or '.join(remedies)}"
        )
