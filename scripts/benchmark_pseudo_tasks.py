"""Time what several decoders per task cost: training steps of four tasks on MiniLM with 1, 4 and 10 decoders each.

    python scripts/benchmark_pseudo_tasks.py
    python scripts/benchmark_pseudo_tasks.py --quick --check

UPOS, chunks, entities and roles on the first 2,000 training sentences of EWT, on the encoder, batches and optimiser of
``ewt_plain``; chunks and entities once under softmax heads, once under CRFs. Decoders see features under one dropout
mask (PTA-I), or each under its own ("own dropout", PTA-D). A step is forward, backward, clipping and AdamW. All numbers
of decoders take the same batches in turn, in random order; the ratio is the time with one decoder over that with
several, as a median over turns. Bars, for decoders under one mask: ten cost at most 1.15 times one under softmax heads,
and at most 1.5 times under CRFs. Rows of memory are the most that a step holds at once beyond the model, in MiB. On a
machine with a GPU everything runs there.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from _benchmark import Figure, options, peak_mib, report, set_up, take_turns
from _learner import Learner, Lesson, lessons

from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.recipe import load_recipe
from seqmtl.training.setup import prepare

TASKS = ("upos", "chunk", "ner", "srl")
SOFTMAX_BAR, CRF_BAR = 1 / 1.15, 1 / 1.5
BARRED = DecodersSpec(count=10)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

ONE = "1 decoder"
SIDES = {
    ONE: DecodersSpec(count=1),
    "4 decoders": DecodersSpec(count=4),
    "10 decoders": DecodersSpec(count=10),
    "4 decoders, own dropout": DecodersSpec(count=4, own_dropout=True),
    "10 decoders, own dropout": DecodersSpec(count=10, own_dropout=True),
}


@dataclass(frozen=True)
class Part:
    """Heads of one kind.

    Attributes:
        name: in the table.
        head: of chunks and entities.
        bar: of ten decoders.
    """

    name: str
    head: str
    bar: float


PARTS = (Part("softmax", "softmax", SOFTMAX_BAR), Part("CRF", "crf", CRF_BAR))


def main() -> int:
    """Time both kinds of heads."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    figures: dict[str, Figure] = {}
    for part in PARTS:
        figures |= measured(part, arguments)
    return report("pseudo_tasks", figures, arguments)


def measured(part: Part, arguments: argparse.Namespace) -> dict[str, Figure]:
    """Training steps with all numbers of decoders, and their memory."""
    heads = [f"tasks.{task}.head={{kind: {part.head}}}" for task in ("chunk", "ner")]
    recipe, folder = load_recipe("ewt_plain", overrides=["corpora.ewt.limit={train: 2000}", *heads])
    prepared = prepare(recipe, folder=folder)
    tasks = [task for task in prepared.tasks if task.name in TASKS]
    steps = lessons(prepared, tasks, count=2 if arguments.quick else 8, device=DEVICE)
    sides: dict[str, Callable[[Lesson], None]] = {}
    for name, spec in SIDES.items():
        decoders = {task.name: spec for task in tasks}
        learner = Learner(prepared, tasks, prepared.recipe.sharing, decoders=decoders, device=DEVICE)
        sides[name] = settled(learner)
    times = take_turns(sides, steps, rounds=1 if arguments.quick else 6)
    held = {name: peak_mib(partial(side, steps[0])) for name, side in sides.items()}
    timed = {name: Figure.of_turns(times[name], times[ONE], bar=bar_of(part, name)) for name in SIDES if name != ONE}
    memory = {f"{name}, memory, MiB": Figure(held[name], held[ONE], bar=0.0) for name in SIDES if name != ONE}
    return {f"{part.name} heads: {name}": figure for name, figure in (timed | memory).items()}


def bar_of(part: Part, name: str) -> float:
    """The bar of a side; 0: none."""
    return part.bar if SIDES[name] == BARRED else 0.0


def settled(learner: Learner) -> Callable[[Lesson], None]:
    """Steps of a learner, which have ended when the call has."""

    def step(lesson: Lesson) -> None:
        learner.step(lesson)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step


if __name__ == "__main__":
    sys.exit(main())
