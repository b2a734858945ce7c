"""Time what it costs to share: four tasks under hard sharing, independent towers, cross-stitch and sluice.

    python scripts/benchmark_sharing.py
    python scripts/benchmark_sharing.py --quick --check
    python scripts/benchmark_sharing.py --towers      # towers as one batched computation against the loop over them

UPOS, chunks, entities and roles on the first 2,000 training sentences of EWT, with two kinds of towers: three BiLSTM
layers of 100 units per direction (on the encoder of ``ewt_bilstm_hard``), and the top two blocks of MiniLM (on that of
``ewt_hard_unmixed``, where hard sharing is MiniLM itself). A training step is forward, backward, clipping and AdamW;
inference decodes all tasks, the roles of gold predicates. All schemes take the same batches in turn, in random order.

"ours" is the scheme that a row names first, "theirs" what it is measured against. The ratio theirs / ours is the median
over turns. "alpha and beta" is a sluice network without the penalty that keeps its subspaces apart: what mixing costs.
Bars, for training steps: cross-stitch and sluice cost at most 1.08 times independent towers, and four towers of two
blocks at most 1.9 times hard sharing. For inference: a task of a sluice network that is pruned to a
diagonal alpha costs at most 1.05 times the same task alone in a model with hard sharing, one tower of the same shape.
On a machine with a GPU everything runs there.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from _batched_towers import BatchedBiLSTMs, BatchedBlocks, Loop, Side
from _benchmark import Figure, options, report, set_up, take_turns
from _learner import Learner, lessons, tagging
from torch import Tensor, nn

from seqmtl.batch import PieceStates, States
from seqmtl.layers.bilstm import BiLSTM
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.sluice import Sluice
from seqmtl.sharing.towers.base import Tower
from seqmtl.specs.recipe import load_recipe
from seqmtl.specs.sharing import (
    BiLSTMTowerSpec,
    CrossStitchSpec,
    HardSharingSpec,
    IndependentSpec,
    SharingSpec,
    SluiceSpec,
    TransformerTowerSpec,
)
from seqmtl.training.setup import prepare

TASKS, ONE = ("upos", "chunk", "ner", "srl"), "ner"
MIXING_BAR, TOWERS_BAR, PRUNED_BAR = 1 / 1.08, 1 / 1.9, 1 / 1.05
LOOP_BAR = 1 / 1.1  # a batched computation that is faster than this would be worth building in
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Part:
    """Towers of one kind.

    Attributes:
        name: in the table.
        recipe: gives encoder, heads, batches and optimiser.
        tower: of each task.
        towers_bar: of independent towers against hard sharing; 0: none.
    """

    name: str
    recipe: str
    tower: BiLSTMTowerSpec | TransformerTowerSpec
    towers_bar: float

    def schemes(self) -> dict[str, SharingSpec]:
        """What is compared, by name."""
        tower = self.tower
        return {
            "hard": HardSharingSpec(kind="hard", tower=tower if isinstance(tower, BiLSTMTowerSpec) else None),
            "independent": IndependentSpec(kind="independent", tower=tower),
            "cross_stitch": CrossStitchSpec(kind="cross_stitch", tower=tower),
            "sluice": SluiceSpec(kind="sluice", tower=tower),
            "alpha and beta": SluiceSpec(kind="sluice", tower=tower, orthogonality=0.0),
        }


PARTS = (
    Part("BiLSTM", "ewt_bilstm_hard", BiLSTMTowerSpec(kind="bilstm", layers=3, width=200), 0.0),
    Part("MiniLM", "ewt_hard_unmixed", TransformerTowerSpec(kind="transformer", layers=2), TOWERS_BAR),
)


def main() -> int:
    """Time the schemes, or the towers."""
    parser = options(__doc__)
    parser.add_argument("--towers", action="store_true", help="time batched towers against the loop over them instead")
    arguments = parser.parse_args()
    set_up(arguments)
    figures: dict[str, Figure] = {}
    for part in PARTS:
        bench = Bench(part, arguments)
        rows = bench.towers() if arguments.towers else bench.training() | bench.inference() | bench.pruned()
        figures |= {f"{part.name}, {name}": figure for name, figure in rows.items()}
    return report("sharing-towers" if arguments.towers else "sharing", figures, arguments)


class Bench:
    """The models of one part, and the batches that they share."""

    def __init__(self, part: Part, arguments: argparse.Namespace) -> None:
        recipe, folder = load_recipe(part.recipe, overrides=["corpora.ewt.limit={train: 2000}"])
        self.part = part
        self.prepared = prepare(recipe, folder=folder)
        self.tasks = [task for task in self.prepared.tasks if task.name in TASKS]
        self.rounds = 3 if arguments.quick else 10
        self.lessons = lessons(self.prepared, self.tasks, count=3 if arguments.quick else 8, device=DEVICE)

    @cached_property
    def learners(self) -> dict[str, Learner]:
        """A model under each scheme."""
        return {name: self.learner(TASKS, spec) for name, spec in self.part.schemes().items()}

    def learner(self, names: tuple[str, ...], sharing: SharingSpec) -> Learner:
        """A new model of some tasks."""
        tasks = [task for task in self.tasks if task.name in names]
        return Learner(self.prepared, tasks, sharing, device=DEVICE)

    def training(self) -> dict[str, Figure]:
        """Training steps of all schemes."""
        steps = {name: settled(learner.step) for name, learner in self.learners.items()}
        times = take_turns(steps, self.lessons, rounds=self.rounds)
        return figures_of("training", times, mixing_bar=MIXING_BAR, towers_bar=self.part.towers_bar)

    def inference(self) -> dict[str, Figure]:
        """Decoding of all tasks under all schemes."""
        sides = {name: settled(tagging(learner.model, TASKS)) for name, learner in self.learners.items()}
        times = take_turns(sides, self.lessons, rounds=self.rounds)
        return figures_of("inference", times, mixing_bar=0.0, towers_bar=0.0)

    def pruned(self) -> dict[str, Figure]:
        """One task of a pruned sluice network, and of a model that has no other."""
        schemes = self.part.schemes()
        model = self.learner(TASKS, schemes["sluice"]).model
        model.prune_sharing(0.5)  # at the start alpha is 0.9 on the diagonal, and small elsewhere
        assert isinstance(model.sharing, Sluice)
        assert all(mixer.diagonal for mixer in model.sharing.lockstep.mixers)
        single = self.learner((ONE,), schemes["hard"]).model
        sides = {"pruned": settled(tagging(model, (ONE,))), "single": settled(tagging(single, (ONE,)))}
        times = take_turns(sides, self.lessons, rounds=2 * self.rounds)
        name = f"inference of {ONE}: pruned sluice / single task"
        return {name: Figure.of_turns(times["pruned"], times["single"], bar=PRUNED_BAR)}

    def towers(self) -> dict[str, Figure]:
        """The second layers of all towers forth and back: the loop, and one batched computation."""
        model = self.learner(TASKS, self.part.schemes()["independent"]).model
        with torch.no_grad():
            states = model.encoder(self.lessons[0].batch.inputs)
        assert isinstance(model.sharing, Independent)
        towers: list[Tower] = [model.sharing.towers[name] for name in TASKS]  # type: ignore[misc]  # they are towers
        entered = towers[0].enter(states)
        shape = (*entered.states.shape[:2], towers[0].out_features)
        hidden = [torch.randn(shape, device=DEVICE, requires_grad=True) for _ in towers]
        loop, batched = both_ways(towers, entered)
        for ours, theirs in zip(loop.outputs(hidden), batched.outputs(hidden), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(loop.step(hidden)[: len(towers)], batched.step(hidden)[: len(towers)], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        sides = {"loop": settled(loop.step), "batched": settled(batched.step)}
        times = take_turns(sides, [hidden], rounds=10 * self.rounds)
        name = f"a layer of {len(towers)} towers, forth and back: loop / batched"
        return {name: Figure.of_turns(times["loop"], times["batched"], bar=LOOP_BAR)}


def figures_of(what: str, times: dict[str, list[float]], *, mixing_bar: float, towers_bar: float) -> dict[str, Figure]:
    """The schemes against each other."""
    pairs = {
        ("independent", "hard"): towers_bar,
        ("cross_stitch", "independent"): mixing_bar,
        ("alpha and beta", "independent"): mixing_bar,
        ("sluice", "independent"): mixing_bar,
    }
    return {
        f"{what}: {ours} / {theirs}": Figure.of_turns(times[ours], times[theirs], bar=bar)
        for (ours, theirs), bar in pairs.items()
    }


def both_ways(towers: list[Tower], entered: States) -> tuple[Side, Side]:
    """The second layers of ``towers`` as a loop, and batched; without dropout, which would differ."""
    layers: list[nn.Module] = [tower.layers["1"] for tower in towers]
    if not isinstance(entered, PieceStates):
        bilstms = [layer for layer in layers if isinstance(layer, BiLSTM)]
        return Loop(layers, lambda layer, state: layer(state, entered.mask)), BatchedBiLSTMs(bilstms, entered.mask)
    call = entered.calls[1]

    def run(block: nn.Module, state: Tensor) -> Tensor:
        return block(state, *call.arguments, **call.options)

    blocks = [layer.eval() for layer in layers]
    return Loop(blocks, run), BatchedBlocks(blocks, run)


def settled(side: Callable[..., object]) -> Callable[..., None]:
    """``side``, which has ended when the call has."""

    def wait(*arguments: object) -> None:
        side(*arguments)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return wait


if __name__ == "__main__":
    sys.exit(main())
