"""Measure what becomes of the machine in training: padding, waiting for data, its arithmetic, a second process.

    python scripts/benchmark_scaling.py
    python scripts/benchmark_scaling.py --quick --check

Everything is ``ewt_plain`` on MiniLM. The figures, each a ratio theirs / ours with its bar:

- padding: sub-words of an epoch of EWT, those that are computed against those that are real (0.92);
- data: steps whose batches are collated in the background, as in training, against steps that find them there (0.97);
- FLOP utilisation: a step of POS, chunks and NER that collates its batch first, against the time that large fp32 matrix
  products of as many operations take, by ``torch.mm`` (0.70) and by oneDNN, which is faster on processors that are not
  Intel's and multiplies in seqmtl (no bar); ``_flops.py`` says which operations count;
- bf16: that step under autocast against fp32, where the processor has bf16 (no bar);
- compiled: that step by ``torch.compile`` (``training.compiled``) against the step as it is (no bar);
- plain loops: a joint step of POS, chunks, NER and predicates against four steps of single-task loops in the style of
  ``run_ner_no_trainer.py``, on the same encoder and batches (2.5);
- processes: words per second of two processes with half the threads each against one process with all of them, both
  under the same recipe, so that a step of two has twice the sentences (0.9).

All sides run in turn on the same batches, the last two in processes of their own. On a GPU the share of time in which
it is busy in joint steps is printed.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

import torch
from _benchmark import Figure, alternate, options, report, set_up, take_turns
from _flops import FORWARD_AND_BACKWARD, Products, encoder_flops, head_flops
from _learner import Learner, Lesson, lessons, steps_of
from _plain_loop import PlainLoop
from _teams import Team
from transformers import logging

from seqmtl.compiling import compile_transformer
from seqmtl.data.ahead import ahead
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import Step
from seqmtl.data.tasks import Task
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.kernels.products import onednn_is_there, product
from seqmtl.specs.encoders import TransformerEncoderSpec
from seqmtl.specs.recipe import RecipeSpec, load_recipe
from seqmtl.training.setup import Prepared, prepare, resolved

PADDING_BAR, DATA_BAR, FLOPS_BAR, PLAIN_BAR, PROCESSES_BAR = 0.92, 0.97, 0.70, 2.5, 0.9
THREE = ("upos", "chunk", "ner")
FOUR = (*THREE, "predicate")

Item = tuple[Step, Lesson]


def main() -> int:
    """Take all measurements."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    logging.set_verbosity_error()  # else transformers lists what a classifier has that the encoder has not
    recipe, folder = load_recipe("ewt_plain", overrides=["corpora.ewt.limit={train: 2000}"] if arguments.quick else [])
    recipe = resolved(recipe, folder=folder)
    prepared = prepare(recipe, folder=folder)
    figures = {"padding, 1,000 sub-words": padding(prepared)} | in_one_process(prepared, arguments)
    busy = busy_share(prepared)
    if busy is not None:
        print(f"GPU busy: {busy:.0%}")
    figures["two processes, 1,000 words"] = two_processes(recipe, arguments)
    return report("scaling", figures, arguments)


def padding(prepared: Prepared) -> Figure:
    """What an epoch's batches hold."""
    real = computed = 0
    for step in steps_of(prepared, count=sys.maxsize):
        lengths = [prepared.indexer.length(row["tokens"]) for _, row in step.rows]
        real += sum(lengths)
        computed += max(lengths) * len(lengths)
    return Figure(computed / 1000, real / 1000, PADDING_BAR)


def in_one_process(prepared: Prepared, arguments: argparse.Namespace) -> dict[str, Figure]:
    """Steps, their data, matrix products and plain loops, in turn on the same batches."""
    three, four = (chosen(prepared, names) for names in (THREE, FOUR))
    count, rounds = (2, 1) if arguments.quick else (8, 8)
    items = list(zip(steps_of(prepared, count=count), lessons(prepared, four, count=count), strict=True))
    sharing = prepared.recipe.sharing
    joint, joint_of_four = Learner(prepared, three, sharing), Learner(prepared, four, sharing)
    spec = prepared.recipe.encoder
    assert isinstance(spec, TransformerEncoderSpec)
    steps = len(items) * (1 + rounds)
    plain = {task.name: PlainLoop(task, pretrained=spec.pretrained, steps=steps) for task in four}
    collate, by_torch, by_onednn = Collator(prepared.indexer, three), Products(torch.mm), Products(product)
    sides: dict[str, Callable[[Item], object]] = {
        "step": lambda item: joint.step(item[1]),
        "collation": lambda item: collate(item[0].rows),
        "torch.mm": lambda item: by_torch(),  # noqa: ARG005 - the same whatever the batch
        "oneDNN": lambda item: by_onednn(),  # noqa: ARG005
        "step of four": lambda item: joint_of_four.step(item[1]),
        **{name: lambda item, loop=loop: loop.step(item[1].batch) for name, loop in plain.items()},
    }
    if onednn_is_there and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        half = Learner(prepared, three, sharing)
        sides["bf16"] = lambda item: in_bf16(half, item[1])
    compiled = Learner(prepared, three, sharing)
    compile_transformer(compiled.model)
    sides["compiled"] = lambda item: compiled.step(item[1])
    times = take_turns(sides, items, rounds=rounds)
    words = sum(int(lesson.batch.inputs.word_mask.sum()) for _, lesson in items) * rounds
    for name in ("step", "step of four"):
        print(f"{name}: {1000 * words / sum(times[name]):,.0f} words/s")
    figures = figures_of(times, flops=[flops_of(joint, lesson) for _, lesson in items] * rounds, names=tuple(plain))
    return {"data": waiting(joint, items, collate, rounds=rounds)} | figures


def waiting(learner: Learner, items: Sequence[Item], collate: Collator, *, rounds: int) -> Figure:
    """Steps for whose batches there may be a wait, and steps without."""

    def collated(item: Item) -> Lesson:
        return replace(item[1], batch=collate(item[0].rows))

    def ours() -> None:
        for lesson in ahead(collated, items):
            learner.step(lesson)

    def theirs() -> None:
        for _, lesson in items:
            learner.step(lesson)

    return alternate(ours, theirs, bar=DATA_BAR, rounds=rounds, warmup=1)


def figures_of(times: dict[str, list[float]], *, flops: Sequence[int], names: Sequence[str]) -> dict[str, Figure]:
    """From milliseconds of each side on each batch, of which ``flops`` says how many operations it takes."""
    whole = [step + collation for step, collation in zip(times["step"], times["collation"], strict=True)]
    full_rate = {
        name: [ms * n / Products.flops for ms, n in zip(times[name], flops, strict=True)]
        for name in ("torch.mm", "oneDNN")
    }
    one_by_one = [sum(turn) for turn in zip(*(times[name] for name in names), strict=True)]
    figures = {
        "FLOP utilisation, of torch.mm": Figure.of_turns(whole, full_rate["torch.mm"], bar=FLOPS_BAR),
        "FLOP utilisation, of oneDNN": Figure.of_turns(whole, full_rate["oneDNN"], bar=0.0),
        f"plain loops of {len(names)} tasks": Figure.of_turns(times["step of four"], one_by_one, bar=PLAIN_BAR),
    }
    for name in ("bf16", "compiled"):
        if name in times:
            figures[name] = Figure.of_turns(times[name], times["step"], bar=0.0)
    return figures


def flops_of(learner: Learner, lesson: Lesson) -> int:
    """The operations of a step."""
    encoder, pieces = learner.model.encoder, lesson.batch.inputs.pieces
    assert isinstance(encoder, TransformerEncoder)
    assert pieces is not None
    words = int(lesson.batch.inputs.word_mask.sum())
    forward = encoder_flops(encoder.model.config, pieces.mask.sum(dim=1).tolist())
    return FORWARD_AND_BACKWARD * (forward + head_flops(learner.model.heads, words))


def in_bf16(learner: Learner, lesson: Lesson) -> None:
    """A step under autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learner.step(lesson)


def chosen(prepared: Prepared, names: Sequence[str]) -> list[Task]:
    """Some tasks."""
    return [task for task in prepared.tasks if task.name in names]


def two_processes(recipe: RecipeSpec, arguments: argparse.Namespace) -> Figure:
    """Rounds of steps on two processes and on one."""
    names = {name: task for name, task in recipe.tasks.items() if name in THREE}
    recipe = recipe.model_copy(update={"tasks": names})
    steps, rounds = (2, 1) if arguments.quick else (10, 8)
    threads = arguments.threads
    ours: list[float] = []
    theirs: list[float] = []
    with (
        Team(recipe, processes=2, threads=max(1, threads // 2), steps=steps) as pair,
        Team(recipe, processes=1, threads=threads, steps=2 * steps) as single,
    ):
        for turn in range(1 + rounds):
            sides = [(pair, ours), (single, theirs)]
            for team, times in sides if turn % 2 else reversed(sides):
                times.append(team.train())
    print(f"two processes: {1e6 / median(ours[1:]):,.0f} words/s, one: {1e6 / median(theirs[1:]):,.0f} words/s")
    return Figure.of_turns(ours[1:], theirs[1:], bar=PROCESSES_BAR)


def busy_share(prepared: Prepared) -> float | None:
    """Of the time of joint steps on the GPU, as its driver counts; None without one."""
    if not torch.cuda.is_available():
        return None
    tasks = chosen(prepared, FOUR)
    learner = Learner(prepared, tasks, prepared.recipe.sharing, device="cuda")
    shares = []
    for number, lesson in enumerate(lessons(prepared, tasks, count=100, device="cuda")):
        learner.step(lesson)
        if number % 10 == 9:
            asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
            shares.append(float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout) / 100)
    return median(shares)


if __name__ == "__main__":
    sys.exit(main())
