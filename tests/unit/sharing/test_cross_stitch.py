"""Cross-stitch networks: METHODS.md section 2.1.

M towers, B sentences, T words, H features.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqmtl.batch import WordStates
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.cross_stitch import CrossStitch, initial_alpha
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import CrossStitchSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]
GRANULARITIES = ["scalar", "channel"]


def cross_stitch(tasks: tuple[str, ...] = TASKS, **options: Any) -> CrossStitch:
    """A cross-stitch network over towers of two BiLSTM layers."""
    tower = {"kind": "bilstm", "layers": 2, "width": 8, "dropout": 0.0}
    spec = CrossStitchSpec.parse({"kind": "cross_stitch", "tower": tower, **options}, source="test")
    made = build_sharing(spec, ground=Ground(4), tasks=tasks)
    assert isinstance(made, CrossStitch)
    return made


def shaken(sharing: CrossStitch) -> CrossStitch:
    """With any alpha."""
    for mixer in sharing.lockstep.mixers:
        nn.init.normal_(mixer.weight)
    return sharing


@pytest.fixture
def states() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_cs1_with_the_identity_the_towers_are_independent(granularity: str, states: WordStates):
    sharing = cross_stitch(granularity=granularity, same_task=1.0)
    features = sharing(states, Request(TASKS)).features
    for task in TASKS:
        assert torch.equal(features[task], sharing.lockstep.towers[task](states))
    features["b"].square().sum().backward()
    for task, tower in sharing.lockstep.towers.items():
        assert all(bool(p.grad.any()) == (task == "b") for p in tower.parameters())


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_cs2_the_gradient_of_alpha_is_the_sum_of_products_of_what_is_above_and_below(granularity, states: WordStates):
    sharing, seen = shaken(cross_stitch(granularity=granularity)), []

    def note(mixer: nn.Module, arguments: tuple[list[Tensor]], mixed: list[Tensor]) -> None:
        for state in mixed:
            state.retain_grad()
        seen.append((mixer, arguments[0], mixed))

    for mixer in sharing.lockstep.mixers:
        mixer.register_forward_hook(note)
    features = sharing(states, Request(TASKS)).features
    torch.stack([features[task].pow(3).sum() for task in TASKS]).sum().backward()
    assert len(seen) == 2
    for mixer, hidden, mixed in seen:
        for i, above in enumerate(mixed):
            for j, below in enumerate(hidden):
                products = above.grad * below.detach()  # [B, T, H]
                over = (0, 1, 2) if granularity == "scalar" else (0, 1)
                torch.testing.assert_close(mixer.weight.grad[i, j], products.sum(dim=over), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tasks", [1, 2, 5])
@pytest.mark.parametrize("same_task", [0.0, 0.9, 1.0])
def test_cs3_rows_start_convex(tasks: int, same_task: float):
    alpha = initial_alpha(tasks, same_task=same_task)
    torch.testing.assert_close(alpha.sum(dim=1), torch.ones(tasks))
    assert (alpha >= 0).all()
    for i in range(tasks):
        for j in range(tasks):
            expected = 1.0 if tasks == 1 else same_task if i == j else (1 - same_task) / (tasks - 1)
            assert alpha[i, j].item() == pytest.approx(expected)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_every_mixer_starts_as_the_spec_says(granularity: str):
    for table in cross_stitch(granularity=granularity, same_task=0.8).coupling().tables.values():
        torch.testing.assert_close(table.values, initial_alpha(3, same_task=0.8))


@pytest.mark.parametrize(("granularity", "mixer", "numbers"), [("scalar", Alpha, 9), ("channel", ChannelAlpha, 9 * 8)])
def test_there_is_a_mixer_per_layer_of_the_granularity(granularity: str, mixer: type, numbers: int):
    mixers = cross_stitch(granularity=granularity).lockstep.mixers
    assert [type(made) for made in mixers] == [mixer, mixer]
    assert [made.weight.numel() for made in mixers] == [numbers, numbers]


@torch.no_grad()
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_each_layer_reads_the_mixture_of_the_layer_below(granularity: str, states: WordStates):
    sharing = shaken(cross_stitch(granularity=granularity))
    held = [states.states] * 3
    for number, mixer in enumerate(sharing.lockstep.mixers):
        hidden = [tower.layer(number, h, states) for tower, h in zip(sharing.lockstep.in_order(), held, strict=True)]
        held = [sum(a * h for a, h in zip(row, hidden, strict=True)) for row in mixer.weight]
    features = sharing(states, Request(TASKS)).features
    for task, expected in zip(TASKS, held, strict=True):
        torch.testing.assert_close(features[task], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("asked", [("a",), ("c", "a"), TASKS])
def test_a_request_for_some_tasks_gives_the_same_features(asked: tuple[str, ...], states: WordStates):
    sharing = shaken(cross_stitch())
    every = sharing(states, Request(TASKS)).features
    some = sharing(states, Request(asked))
    assert tuple(some.features) == asked
    assert not some.penalties
    for task in asked:
        torch.testing.assert_close(some.features[task], every[task])


def test_all_that_serves_a_task_learns_from_it_and_nothing_else_does(states: WordStates):
    sharing = shaken(cross_stitch())
    sharing(states, Request(("a",))).features["a"].square().sum().backward()
    learned = {id(p) for p in sharing.parameters() if p.grad is not None}
    assert learned == {id(p) for p in sharing.serving(["a"])}
    assert learned == {id(p) for p in sharing.parameters()}  # every tower can be reached from it


def test_what_was_learned_has_the_names_of_tasks():
    sharing = shaken(cross_stitch())
    tables = sharing.coupling().tables
    assert list(tables) == ["alpha 1", "alpha 2"]
    for table, mixer in zip(tables.values(), sharing.lockstep.mixers, strict=True):
        assert tuple(table.rows) == tuple(table.columns) == TASKS
        assert torch.equal(table.values, mixer.weight)
        assert not table.values.requires_grad
    channels = shaken(cross_stitch(granularity="channel"))
    assert torch.equal(channels.coupling().tables["alpha 2"].values, channels.lockstep.mixers[1].weight.mean(dim=2))


def test_one_task_is_its_tower(states: WordStates):
    sharing = cross_stitch(("a",))
    assert torch.equal(sharing(states, Request(("a",))).features["a"], sharing.lockstep.towers["a"](states))
