"""Time the Meta-LSTM against torch's LSTM and against its own plain form.

    python scripts/benchmark_meta_lstm.py
    python scripts/benchmark_meta_lstm.py --quick --check

One bidirectional layer of d = 384, h = 200, m = 100, z = 50 over full sentences, forward and backward, with the
gradients of the input and of all weights; an ``nn.LSTM`` of the same d and h makes about as many floating point
operations (467 against 475 thousand multiplications a word and direction). "4 tasks" are four basic cells under one
meta cell against four ``nn.LSTM``. All sides take turns, in random order; the ratio theirs / ours is the median over
turns. Bars: at most 1.5 times ``nn.LSTM``, with 4 tasks at most 1.3 times four of them (B = 32, T = 40). On a machine
with a GPU everything runs there, with B = 64 and T = 64: at most 2.5 times cuDNN, and at least 15 times faster than the
plain form. The bars are for a process as torch leaves it, in which a good part of an ``nn.LSTM`` are page faults; the
rows "freed memory kept" are without these, as in training, and have no bar. The last row is the most memory that a side
holds at once beyond what it was given, in MiB: at most twice that of ``nn.LSTM``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from _benchmark import Figure, options, peak_mib, report, take_turns
from torch import Tensor, nn

from seqmtl.kernels.meta_lstm import BasicWeights, MetaWeights, meta_lstm, reference
from seqmtl.training.allocation import keep_freed_memory

D, H, M, Z = 384, 200, 100, 50
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
B, T = (64, 64) if DEVICE == "cuda" else (32, 40)
LSTM_BAR, REFERENCE_BAR = (1 / 2.5, 15.0) if DEVICE == "cuda" else (1 / 1.5, 0.0)
TASKS_BAR = 0.0 if DEVICE == "cuda" else 1 / 1.3

Side = Callable[[Tensor], object]


@dataclass(frozen=True)
class MetaSide:
    """A Meta-LSTM layer of some tasks, in one of its forms."""

    form: Callable[..., object]
    meta: MetaWeights
    basic: BasicWeights

    @classmethod
    def of(cls, form: Callable[..., object], *, tasks: int) -> "MetaSide":
        """With random weights."""

        def random(*shape: int) -> Tensor:
            return (torch.randn(*shape, device=DEVICE) * 0.1).requires_grad_()

        meta = MetaWeights(random(2, 4 * M, D + M + H), random(2, 4 * M), random(2, Z, M))
        left, right, bias = ((tasks, 2, 4, *shape) for shape in ((H, Z), (Z, D + H), (H, Z)))
        return cls(form, meta, BasicWeights(random(*left), random(*right), random(*bias)))

    def __call__(self, inputs: Tensor) -> None:
        """Forward and backward."""
        mask = torch.ones(B, T, dtype=torch.bool, device=DEVICE)
        hidden = self.form(inputs[None], mask, self.meta, self.basic).hidden  # type: ignore[attr-defined]
        torch.autograd.grad(hidden.sum(), [inputs, *self.meta, *self.basic])  # type: ignore[list-item]
        finish()


@dataclass(frozen=True)
class LSTMSide:
    """One ``nn.LSTM`` per task."""

    lstms: nn.ModuleList

    @classmethod
    def of(cls, *, tasks: int) -> "LSTMSide":
        """With random weights."""
        made = (nn.LSTM(D, H, batch_first=True, bidirectional=True) for _ in range(tasks))
        return cls(nn.ModuleList(made).to(DEVICE))

    def __call__(self, inputs: Tensor) -> None:
        """Forward and backward."""
        total = torch.stack([lstm(inputs)[0] for lstm in self.lstms]).sum()
        torch.autograd.grad(total, [inputs, *self.lstms.parameters()])
        finish()


def finish() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def figures_of(times: dict[str, list[float]]) -> dict[str, Figure]:
    """The Meta-LSTM against the others."""
    return {
        "Meta-LSTM / nn.LSTM": Figure.of_turns(times["fast"], times["lstm"], bar=LSTM_BAR),
        "Meta-LSTM / its plain form": Figure.of_turns(times["fast"], times["plain"], bar=REFERENCE_BAR),
        "4 tasks / 4 nn.LSTM": Figure.of_turns(times["fast of 4"], times["lstm of 4"], bar=TASKS_BAR),
    }


def main() -> int:
    """Time all sides."""
    arguments = options(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    inputs = torch.randn(B, T, D, device=DEVICE, requires_grad=True)
    sides: dict[str, Side] = {
        "fast": MetaSide.of(meta_lstm, tasks=1),
        "plain": MetaSide.of(reference.meta_lstm, tasks=1),
        "lstm": LSTMSide.of(tasks=1),
        "fast of 4": MetaSide.of(meta_lstm, tasks=4),
        "lstm of 4": LSTMSide.of(tasks=4),
    }
    rounds = 5 if arguments.quick else 10
    figures = figures_of(take_turns(sides, [inputs] * 3, rounds=rounds))
    if DEVICE == "cpu" and keep_freed_memory():
        kept = figures_of(take_turns(sides, [inputs] * 3, rounds=rounds))
        figures |= {f"{name}, freed memory kept": replace(figure, bar=0.0) for name, figure in kept.items()}
    held = {name: peak_mib(partial(sides[name], inputs)) for name in ("fast", "lstm")}
    figures["peak memory, MiB: Meta-LSTM / nn.LSTM"] = Figure(held["fast"], held["lstm"], bar=0.5)
    return report("meta_lstm", figures, arguments)


if __name__ == "__main__":
    sys.exit(main())
