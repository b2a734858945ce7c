"""Time what the forms of ``seqmtl.layers.on_cpu`` gain: one model with them, and as torch computes by itself.

    python scripts/benchmark_cpu.py
    python scripts/benchmark_cpu.py --quick --check

UPOS, chunks, entities, predicates and roles on training sentences of EWT, on MiniLM (``ewt_plain``) and on a BiLSTM
(``ewt_bilstm_hard``): full training steps with AdamW, and inference with decoding. Both sides take the same batches in
turn; the ratio theirs / ours is the median over turns. Bar: on MiniLM 1.3 in training. Processors on which MKL uses all
they have, which are Intel's, gain less.
"""

import sys
from collections.abc import Callable

from _benchmark import Figure, options, report, set_up, take_turns
from _learner import Learner, Lesson, lessons, tagging
from torch import nn

from seqmtl.layers.on_cpu import FORMS
from seqmtl.specs.recipe import load_recipe
from seqmtl.training.setup import prepare

Work = Callable[[Lesson], None]

PLAIN = {form: plain for plain, form in FORMS.items()}
RECIPES = {"MiniLM": ("ewt_plain", 1.3), "BiLSTM": ("ewt_bilstm_hard", 0.0)}


def main() -> int:
    """Run both models."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    figures: dict[str, Figure] = {}
    for name, (recipe, bar) in RECIPES.items():
        spec, folder = load_recipe(recipe, overrides=["corpora.ewt.limit={train: 2000}"])
        prepared = prepare(spec, folder=folder)
        learner = Learner(prepared, prepared.tasks, spec.sharing)
        batches = lessons(prepared, prepared.tasks, count=3 if arguments.quick else 8)
        rounds = 3 if arguments.quick else 10
        figures[f"{name}, training"] = compare(learner, learner.step, batches, rounds=rounds, bar=bar)
        tag = tagging(learner.model, learner.names)
        figures[f"{name}, inference"] = compare(learner, tag, batches, rounds=rounds, bar=0.0)
    return report("cpu", figures, arguments)


def compare(learner: Learner, work: Work, batches: list[Lesson], *, rounds: int, bar: float) -> Figure:
    """``work`` with the faster forms and without."""
    sides = {"ours": using(FORMS, learner, work), "torch": using(PLAIN, learner, work)}
    times = take_turns(sides, batches, rounds=rounds)
    return Figure.of_turns(times["ours"], times["torch"], bar=bar)


def using(forms: dict[type[nn.Module], type[nn.Module]], learner: Learner, work: Work) -> Work:
    """``work`` after the modules of the model have taken ``forms``, which costs 1 ms at most."""

    def run(lesson: Lesson) -> None:
        for module in learner.model.modules():
            module.__class__ = forms.get(type(module), type(module))
        work(lesson)

    return run


if __name__ == "__main__":
    sys.exit(main())
