"""Towers in lockstep: what has to run, and that nothing else does.

M towers, K layers, B sentences, T words, H features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqmtl.batch import WordStates
from seqmtl.layers.mixing import Alpha
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.lockstep import Lockstep, Reads

MASK = torch.arange(4) < torch.tensor([4, 2])[:, None]


@dataclass(frozen=True)
class Wiring:
    """Which tower reads which, after each layer; what is handed out, and for whom."""

    reads: tuple[Reads, ...]
    handed_out: tuple[int, ...]
    wanted: tuple[int, ...]


@st.composite
def wirings(draw: st.DrawFn) -> Wiring:
    towers, layers = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    row = st.tuples(*[st.booleans()] * towers).filter(any)
    reads = draw(st.tuples(*[st.tuples(*[row] * towers)] * layers))
    handed_out = draw(st.sampled_from([(layers - 1,), tuple(range(layers))]))
    wanted = draw(st.sets(st.integers(0, towers - 1), min_size=1))
    return Wiring(reads, handed_out, tuple(sorted(wanted)))


def lockstep(wiring: Wiring) -> Lockstep:
    """Towers of random weights; entries of alpha that nobody reads are 0."""
    towers = {name: BiLSTMTower(3, width=4, layers=len(wiring.reads), dropout=0.0) for name in names(wiring)}
    mixers = []
    for reads in wiring.reads:
        kept = torch.tensor(reads)
        mixers.append(Alpha(torch.randn(kept.shape), subspaces=1, directions=2, normalisation="none", kept=kept))
    return Lockstep(towers, mixers, reads=wiring.reads, handed_out=wiring.handed_out)


def names(wiring: Wiring) -> str:
    return "abc"[: len(wiring.reads[0])]


def on_a_path(wiring: Wiring, layer: int, tower: int) -> bool:
    """Whether a chain of reads leads from a layer of a tower to what some wanted task is handed; tries all chains."""
    towers = range(len(wiring.reads[0]))
    for last in wiring.handed_out:
        for chain in product(towers, repeat=max(0, last - layer)):
            for task in wiring.wanted if last >= layer else ():
                stations = (tower, *chain, task)
                if all(wiring.reads[layer + n][stations[n + 1]][stations[n]] for n in range(last - layer + 1)):
                    return True
    return False


@settings(max_examples=50)
@given(wirings())
def test_the_plan_runs_what_lies_on_a_path_to_a_wanted_task_and_nothing_else(wiring: Wiring):
    tasks = names(wiring)
    plan = lockstep(wiring).plan([tasks[number] for number in wiring.wanted])
    assert len(plan) == len(wiring.reads)
    for layer, stage in enumerate(plan):
        assert stage.sources == tuple(tower for tower in range(len(tasks)) if on_a_path(wiring, layer, tower))
        handed = wiring.wanted if layer in wiring.handed_out else ()
        above = plan[layer + 1].sources if layer + 1 < len(plan) else ()
        assert stage.targets == tuple(sorted({*handed, *above}))


@settings(max_examples=50)
@given(wirings())
def test_layers_on_no_path_to_any_task_are_dropped(wiring: Wiring):
    steps = lockstep(wiring)
    every = Wiring(wiring.reads, wiring.handed_out, tuple(range(len(names(wiring)))))
    for number, tower in enumerate(steps.in_order()):
        kept = [str(layer) for layer in range(len(wiring.reads)) if on_a_path(every, layer, number)]
        assert list(tower.layers) == kept


def by_hand(steps: Lockstep, states: Tensor) -> list[list[Tensor]]:
    """``h~[m, k]`` of all towers and layers, by the definition, with zeros for layers that were dropped."""
    held, after = [states] * len(steps.tasks), []
    for number, mixer in enumerate(steps.mixers):
        hidden = [
            tower.layers[str(number)](state, MASK) if str(number) in tower.layers else torch.zeros(2, 4, 4)
            for tower, state in zip(steps.in_order(), held, strict=True)
        ]
        shares = mixer.matrix
        held = [torch.stack([a * h for a, h in zip(row, hidden, strict=True)]).sum(dim=0) for row in shares]
        after.append(held)
    return after


@torch.no_grad()
@settings(max_examples=30)
@given(wirings())
def test_a_task_is_handed_the_same_whoever_else_is_wanted(wiring: Wiring):
    torch.manual_seed(0)
    steps, states = lockstep(wiring), torch.randn(2, 4, 3)
    tasks = [names(wiring)[number] for number in wiring.wanted]
    expected = by_hand(steps, states)
    found = steps(WordStates(states, MASK), tasks)
    assert list(found) == tasks
    for task, layers in found.items():
        for ours, number in zip(layers, wiring.handed_out, strict=True):
            torch.testing.assert_close(ours, expected[number][steps.tasks.index(task)], atol=1e-6, rtol=1e-5)


@settings(max_examples=30)
@given(wirings())
def test_only_planned_layers_are_computed_each_once_and_all_that_serve_learn(wiring: Wiring):
    torch.manual_seed(0)
    steps, ran = lockstep(wiring), []
    for number, tower in enumerate(steps.in_order()):
        for layer, module in tower.layers.items():
            module.register_forward_hook(lambda *_, place=(int(layer), number): ran.append(place))
    tasks = [names(wiring)[number] for number in wiring.wanted]
    found = steps(WordStates(torch.randn(2, 4, 3), MASK), tasks)
    assert ran == [(layer, tower) for layer, stage in enumerate(steps.plan(tasks)) for tower in stage.sources]
    torch.stack([layer.square().sum() for layers in found.values() for layer in layers]).sum().backward()
    touched = [p for tower in steps.in_order() for p in tower.parameters() if p.grad is not None]
    serving = {id(p) for p in steps.serving(tasks)} - {id(p) for p in steps.mixers.parameters()}
    assert {id(p) for p in touched} == serving
    assert all(p.grad.any() for p in touched)


def two(reads: Sequence[Sequence[int]]) -> Wiring:
    layer = tuple(tuple(map(bool, row)) for row in reads)
    return Wiring((layer, layer), (1,), (0, 1))


def test_rewiring_says_how_many_layers_it_dropped():
    steps = lockstep(two([[1, 1], [1, 1]]))
    only_the_first = two([[1, 0], [1, 0]]).reads
    assert steps.rewire(only_the_first) == 2
    assert [list(tower.layers) for tower in steps.in_order()] == [["0", "1"], []]
    assert steps.rewire(only_the_first) == 0
