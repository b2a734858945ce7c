"""How much of each corpus an epoch holds, and in what batches it comes: two objects.

``Mixture`` says how much, and reports what was really drawn; ``BatchStream`` says in what order. Both are functions of
(seed, epoch), so that every process computes the same plan without a word between them, and a position in it is two
numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from seqmtl.data.ahead import ahead
from seqmtl.data.batching import cut_batches, deal
from seqmtl.data.rows import Row
from seqmtl.data.source import Source
from seqmtl.data.tasks import Task
from seqmtl.errors import ConfigError, nearest
from seqmtl.specs.mixture import (
    AnnealedSpec,
    MixtureSpec,
    ProportionalSpec,
    SqrtSpec,
    TemperatureSpec,
    UniformSpec,
    WeightsSpec,
)

Drawn = tuple[str, Row]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Share:
    """What an epoch drew from one corpus: rows drawn, the rows there are (0: a stream), the share asked for."""

    corpus: str
    drawn: int
    size: int
    asked: float


class Mixture:
    """Decides how many rows of each corpus an epoch holds, and which."""

    def __init__(self, sources: Mapping[str, Source], spec: MixtureSpec, *, seed: int, epochs: int) -> None:
        """Mix ``sources`` over ``epochs`` epochs.

        Raises:
            ConfigError: when the weights name an unknown corpus or are all 0, when the size of a streamed corpus would
                be needed, or when ``rows_per_epoch`` is too small to draw any row.
        """
        self.sources = dict(sources)
        self.spec = spec
        self.seed = seed
        self.epochs = epochs
        if isinstance(spec.rates, WeightsSpec):
            for name in spec.rates.weights:
                if name not in self.sources:
                    raise ConfigError(f"mixture.rates.weights: no corpus {name!r}; {nearest(name, self.sources)}")
        known_rates = isinstance(spec.rates, (WeightsSpec, UniformSpec))
        if self.streamed and not (known_rates and spec.rows_per_epoch):
            raise ConfigError(
                f"mixture: corpus {self.streamed[0]!r} is streamed, so its size is unknown; set mixture.rows_per_epoch "
                "and mixture.rates.kind to 'weights' or 'uniform'"
            )
        for epoch in range(epochs):
            if not any(self.counts(epoch).values()):
                raise ConfigError(
                    f"mixture.rows_per_epoch: {spec.rows_per_epoch} among {len(self.sources)} corpora leaves none a "
                    "whole row; raise it"
                )

    @property
    def streamed(self) -> list[str]:
        """The corpora that are streams."""
        return [name for name, source in self.sources.items() if source.size is None]

    def rates(self, epoch: int) -> dict[str, float]:
        """Share of each corpus in ``epoch``; the shares sum to 1."""
        spec = self.spec.rates
        sizes = {name: float(source.size or 1) for name, source in self.sources.items()}
        match spec:
            case ProportionalSpec():
                raw = sizes
            case UniformSpec():
                raw = dict.fromkeys(sizes, 1.0)
            case SqrtSpec():
                raw = {name: size**0.5 for name, size in sizes.items()}
            case TemperatureSpec():
                raw = {name: size ** (1.0 / spec.temperature) for name, size in sizes.items()}
            case AnnealedSpec():
                progress = epoch / max(1, self.epochs - 1)
                alpha = spec.start + (spec.end - spec.start) * progress
                raw = {name: size**alpha for name, size in sizes.items()}
            case WeightsSpec():
                raw = {name: spec.weights.get(name, 0.0) for name in sizes}
        total = sum(raw.values())
        if total <= 0.0:
            raise ConfigError("mixture.rates.weights: every corpus has weight 0; give at least one a positive weight")
        return {name: value / total for name, value in raw.items()}

    def counts(self, epoch: int) -> dict[str, int]:
        """Rows of each corpus in ``epoch``: the largest once at its rate, unless ``rows_per_epoch`` says otherwise."""
        rates = self.rates(epoch)
        total = self.spec.rows_per_epoch
        if total is None:
            drawn = [name for name in rates if rates[name] > 0.0]
            largest = max(drawn, key=lambda name: self.sources[name].size or 0)
            total = round((self.sources[largest].size or 0) / rates[largest])
        return {name: round(rate * total) for name, rate in rates.items()}

    def draw(self, epoch: int) -> list[Drawn]:
        """The rows of ``epoch``, corpus by corpus; the batches shuffle them."""
        rows: list[Drawn] = []
        for number, (name, count) in enumerate(self.counts(epoch).items()):
            rng = np.random.default_rng((self.seed, epoch, number))
            rows += [(name, row) for row in self.sources[name].draw(count, rng=rng, epoch=epoch)]
        return rows

    def report(self, epoch: int, *, drawn: Mapping[str, int]) -> list[Share]:
        """The rows that were ``drawn`` from each corpus in ``epoch``, beside what was asked for."""
        rates = self.rates(epoch)
        sizes = {name: source.size or 0 for name, source in self.sources.items()}
        return [Share(name, drawn.get(name, 0), size, rates[name]) for name, size in sizes.items()]


@dataclass(frozen=True)
class Step:
    """One optimiser step.

    Attributes:
        rows: all rows of the step, those of other processes too; what they weigh is known without communication.
        micro_batches: this process's share, one list per accumulation step; a list may be empty.
        task: the only one that learns from it; None: all do.
    """

    rows: list[Drawn]
    micro_batches: list[list[Drawn]]
    task: str | None = None


@dataclass(frozen=True)
class _Epoch:
    """The rows of an epoch, what each costs the encoder, and the task and the positions of the rows of each step."""

    number: int
    rows: list[Drawn]
    lengths: list[int]
    steps: list[tuple[str | None, list[int]]]


class BatchStream:
    """The optimiser steps of a run, and this process's share of each.

    The rows of a step are chosen first, from the seed alone, and only then dealt to processes and micro-batches; so
    1 process x 32 sentences, 2 x 16 and 2 x 8 x accumulation 2 take the same steps.

    When tasks take turns, an epoch is a phase per task: all drawn rows from which the task learns, then the next task.
    """

    def __init__(
        self,
        mixture: Mixture,
        *,
        length: Callable[[Sequence[str]], int],
        rank: int,
        processes: int,
        accumulation: int,
        in_turn: Sequence[Task] = (),
    ) -> None:
        """Stream the batches of process ``rank`` of ``processes``.

        Args:
            mixture: what an epoch holds.
            length: what a sentence costs the encoder.
            rank: this process.
            processes: among which a step is dealt.
            accumulation: micro-batches of a process in each step.
            in_turn: the tasks that take turns; none: all learn together.
        """
        self.mixture = mixture
        self.length = length
        self.rank = rank
        self.processes = processes
        self.accumulation = accumulation
        self.in_turn = tuple(in_turn)
        self.epoch = 0
        self.step = 0
        self._planned: _Epoch | None = None  # the latest, so that counting its steps and taking them draws once

    def state_dict(self) -> dict[str, int]:
        """Where the stream stands: the next step to be taken."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a saved position."""
        self.epoch, self.step = state["epoch"], state["step"]

    def steps(self, epoch: int) -> int:
        """Optimiser steps in ``epoch``, whose rows are drawn for it."""
        return len(self._plan(epoch).steps)

    def __iter__(self) -> Iterator[Step]:
        """The remaining steps of the current epoch; afterwards the stream stands at the start of the next one."""
        return self._counted(self._remaining())

    def ahead(self, make: Callable[[Step], Made]) -> Iterator[Made]:
        """The same steps as ``make`` makes something of them, the next one while whoever asks uses the present one."""
        return self._counted(ahead(make, self._remaining()))

    def _counted(self, taken: Iterator[Made]) -> Iterator[Made]:
        for item in taken:
            self.step += 1
            yield item
        self.epoch, self.step = self.epoch + 1, 0

    def _remaining(self) -> Iterator[Step]:
        """The remaining steps; where the stream stands is not touched."""
        plan = self._plan(self.epoch)
        for task, batch in plan.steps[self.step :]:
            parts = deal(batch, plan.lengths, shards=self.processes * self.accumulation)
            mine = parts[self.rank :: self.processes]
            yield Step([plan.rows[p] for p in batch], [[plan.rows[p] for p in part] for part in mine], task)

    def _plan(self, epoch: int) -> _Epoch:
        if self._planned is None or self._planned.number != epoch:
            rows = self.mixture.draw(epoch)
            lengths = [self.length(row["tokens"]) for _, row in rows]
            steps = [
                (task, batch)
                for number, (task, positions) in enumerate(self._phases(rows))
                for batch in self._cut(positions, lengths, epoch=epoch, phase=number)
            ]
            self._planned = _Epoch(epoch, rows, lengths, steps)
        return self._planned

    def _phases(self, rows: list[Drawn]) -> list[tuple[str | None, list[int]]]:
        """Each task that takes its turn, and the positions of the rows that teach it."""
        if not self.in_turn:
            return [(None, list(range(len(rows))))]
        return [
            (task.name, [p for p, (corpus, row) in enumerate(rows) if task.weight_of(row, corpus=corpus)])
            for task in self.in_turn
        ]

    def _cut(self, positions: list[int], lengths: list[int], *, epoch: int, phase: int) -> list[list[int]]:
        spec = self.mixture.spec
        shards = self.processes * self.accumulation
        batches = cut_batches(
            [lengths[p] for p in positions],
            budget=spec.tokens_per_batch * shards,
            max_sentences=spec.max_sentences * shards,
            rng=np.random.default_rng((self.mixture.seed, epoch, len(positions), phase)),
        )
        return [[positions[number] for number in batch] for batch in batches]
