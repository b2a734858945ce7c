"""Pruning alpha: what goes, what stays, and that it stays so.

M towers, S subspaces, K layers.
"""

from copy import deepcopy
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from seqmtl.batch import WordStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.cross_stitch import CrossStitch
from seqmtl.sharing.sluice import Sluice
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import SharingSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]
TOWER = {"kind": "bilstm", "layers": 2, "width": 8, "dropout": 0.0}
SCHEMES: dict[str, dict[str, Any]] = {
    "cross-stitch": {"kind": "cross_stitch", "tower": TOWER},
    "channels": {"kind": "cross_stitch", "tower": TOWER, "granularity": "channel"},
    "sluice": {"kind": "sluice", "tower": TOWER},
}
Prunable = CrossStitch | Sluice


def build(name: str, **options: Any) -> Prunable:
    spec = TypeAdapter[SharingSpec](SharingSpec).validate_python(SCHEMES[name] | options)
    made = build_sharing(spec, ground=Ground(4), tasks=TASKS)
    assert isinstance(made, CrossStitch | Sluice)
    return made


def set_alpha(sharing: Prunable, *matrices: Tensor) -> Prunable:
    """Give each layer a matrix ``[M, M]``: on all subspaces or features, with small differences between these."""
    for mixer, matrix in zip(sharing.lockstep.mixers, matrices, strict=True):
        if mixer.weight.ndim == 3:
            jitter = torch.linspace(1.0, 0.8, mixer.weight.shape[2])
            mixer.weight.data = matrix[..., None] * jitter
        else:
            repeats = len(mixer.weight) // len(matrix)
            jitter = torch.linspace(1.0, 0.8, repeats).repeat(repeats, 1)
            mixer.weight.data = torch.kron(matrix, jitter)
    return sharing


@pytest.fixture
def states() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


@torch.no_grad()
def features(sharing: Prunable, states: WordStates, tasks: tuple[str, ...] = TASKS) -> dict[str, Tensor]:
    return dict(sharing.eval()(states, Request(tasks)).features)


def ran(sharing: Prunable, states: WordStates, tasks: tuple[str, ...]) -> list[str]:
    """The layers that are computed for ``tasks``, as TASK.NUMBER."""
    seen: list[str] = []
    handles = [
        layer.register_forward_hook(lambda *_, name=f"{task}.{number}": seen.append(name))
        for task, tower in sharing.lockstep.towers.items()
        for number, layer in tower.layers.items()
    ]
    features(sharing, states, tasks)
    for handle in handles:
        handle.remove()
    return sorted(seen)


SOME = torch.tensor([[1.0, -0.5, 0.01], [0.02, 0.9, 0.0], [0.3, 0.03, -0.7]])
ACYCLIC = torch.tensor([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.5, 1.0]])  # a reads a; b reads a, b; c reads b, c


@pytest.mark.parametrize("name", SCHEMES)
def test_entries_below_the_threshold_are_counted_and_gone_and_others_are_as_they_were(name: str):
    sharing = set_alpha(build(name), SOME, SOME)
    before = [mixer.matrix.clone() for mixer in sharing.lockstep.mixers]
    pruning = sharing.prune(0.2)
    size = len(before[0])
    assert (pruning.entries, pruning.of, pruning.layers) == (2 * 4 * (size // 3) ** 2, 2 * size * size, 0)
    for matrix, mixer, part in zip(before, sharing.lockstep.mixers, pruning.connections, strict=True):
        magnitude = matrix.abs() if matrix.ndim == 2 else matrix.abs().amax(dim=2)
        kept = magnitude >= 0.2
        assert torch.equal(torch.tensor(part, dtype=torch.bool), kept)
        assert torch.equal(mixer.matrix, matrix * (kept if matrix.ndim == 2 else kept[..., None]))


def test_a_pair_of_tasks_stays_while_any_of_its_channels_does():
    sharing = set_alpha(build("channels"), SOME, SOME)  # a channel is 0.8 to 1 times that
    pruning = sharing.prune(0.49)
    assert pruning.connections[0] == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert (sharing.lockstep.mixers[0].matrix[0, 1].abs() < 0.49).any()


@pytest.mark.parametrize("name", SCHEMES)
def test_features_are_those_of_the_unpruned_scheme_with_zeros_for_what_went(name: str, states: WordStates):
    sharing = set_alpha(build(name), SOME, SOME)
    zeroed = deepcopy(sharing)
    for mixer in zeroed.lockstep.mixers:
        small = mixer.weight.abs() if mixer.weight.ndim == 2 else mixer.weight.abs().amax(dim=2, keepdim=True)
        mixer.weight.data = mixer.weight * (small >= 0.2)
    sharing.prune(0.2)
    for tasks in (TASKS, ("a",), ("b",)):
        found, expected = features(sharing, states, tasks), features(zeroed, states, tasks)
        for task in tasks:
            torch.testing.assert_close(found[task], expected[task], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_diagonal_alpha_runs_one_tower(name: str, states: WordStates):
    sharing = set_alpha(build(name), torch.eye(3), torch.eye(3))
    assert len(ran(sharing, states, ("b",))) == 6  # nobody knows yet that they are not needed
    expected = features(sharing, states)
    assert sharing.prune(0.1).layers == 0
    for task in TASKS:
        assert ran(sharing, states, (task,)) == [f"{task}.0", f"{task}.1"]
        torch.testing.assert_close(features(sharing, states, (task,))[task], expected[task])


@pytest.mark.parametrize("name", SCHEMES)
def test_layers_that_a_task_does_not_reach_do_not_run_for_it(name: str, states: WordStates):
    sharing = set_alpha(build(name), ACYCLIC, ACYCLIC)
    sharing.prune(0.1)
    assert ran(sharing, states, ("a",)) == ["a.0", "a.1"]
    assert ran(sharing, states, ("b",)) == ["a.0", "a.1", "b.0", "b.1"]
    assert len(ran(sharing, states, ("c",))) == 6 - 1  # a.1 is needed by nobody but b and a
    serving = {id(p) for p in sharing.serving(["a"])}
    for task, tower in sharing.lockstep.towers.items():
        assert all((id(p) in serving) == (task == "a") for p in tower.parameters())


def only_a_and_b() -> Tensor:
    """Nobody reads the tower of c."""
    return torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [1.0, 0.5, 0.0]])


@pytest.mark.parametrize("name", SCHEMES)
def test_unreachable_layers_are_gone_from_the_parameters(name: str, states: WordStates):
    sharing = set_alpha(build(name), SOME, only_a_and_b())
    sharing.prune(0.001)
    assert [list(tower.layers) for tower in sharing.lockstep.in_order()] == [["0", "1"], ["0", "1"], ["0"]]
    gone = "lockstep.towers.c.layers.1"
    assert not [key for key in sharing.state_dict() if key.startswith(gone)]
    assert [key for key in sharing.state_dict() if key.startswith("lockstep.towers.c.layers.0")]
    assert set(features(sharing, states)) == set(TASKS)
    both = set_alpha(build(name), only_a_and_b(), only_a_and_b())
    assert both.prune(0.001).layers == 2
    assert not list(both.lockstep.towers["c"].parameters())


@pytest.mark.parametrize("name", SCHEMES)
def test_a_threshold_that_starves_a_task_is_an_error_and_changes_nothing(name: str, states: WordStates):
    starving = torch.tensor([[1.0, 0.0, 0.0], [0.1, 0.2, 0.1], [0.0, 0.0, 1.0]])
    sharing = set_alpha(build(name), SOME, starving)
    state, reads = deepcopy(sharing.state_dict()), sharing.lockstep.reads
    with pytest.raises(ConfigError, match=r"threshold of 0\.5 leaves task 'b' nothing to read after layer 2; .* lower"):
        sharing.prune(0.5)
    assert sharing.lockstep.reads == reads
    assert sharing.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in sharing.state_dict().items())


def test_a_task_may_starve_in_a_layer_where_nobody_reads_its_tower(states: WordStates):
    lower = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.1]])
    sharing = set_alpha(build("cross-stitch"), lower, only_a_and_b())
    expected = features(sharing, states)
    assert sharing.prune(0.2).layers == 2  # of the tower of c, which reads those of a and b after the last layer
    for task, value in features(sharing, states).items():
        torch.testing.assert_close(value, expected[task])
    with pytest.raises(ConfigError, match="leaves task 'c' nothing to read after layer 1"):
        set_alpha(build("sluice"), lower, only_a_and_b()).prune(0.2)  # its beta reads all layers


@pytest.mark.parametrize("name", SCHEMES)
def test_pruning_twice_removes_more_and_brings_nothing_back(name: str, states: WordStates):
    sharing = set_alpha(build(name), SOME, only_a_and_b())
    first = sharing.prune(0.2)
    before = features(sharing, states)
    again = sharing.prune(0.0)
    assert (again.entries, again.connections, again.layers) == (first.entries, first.connections, 0)
    assert all(torch.equal(value, before[task]) for task, value in features(sharing, states).items())
    more = sharing.prune(0.6)
    assert more.entries > first.entries
    for old, new in zip(first.connections, more.connections, strict=True):
        assert all(was or not now for rows in zip(old, new, strict=True) for was, now in zip(*rows, strict=True))


@pytest.mark.parametrize(
    ("name", "normalisation"), [(name, "none") for name in SCHEMES] + [("sluice", "softmax"), ("sluice", "l1")]
)
def test_pruned_entries_stay_0_while_the_rest_learns(name: str, normalisation: str, states: WordStates):
    sharing = build(name, **({} if normalisation == "none" else {"normalisation": normalisation}))
    if normalisation == "none":
        set_alpha(sharing, SOME, SOME)
    pruning = sharing.prune(0.2)
    assert 0 < pruning.entries < pruning.of
    kept = [torch.tensor(part, dtype=torch.bool) for part in pruning.connections]
    before = [mixer.matrix.detach().clone() for mixer in sharing.lockstep.mixers]
    optimizer = torch.optim.AdamW(sharing.parameters(), lr=0.05)
    for _ in range(3):
        output = sharing.train()(states, Request(TASKS))
        loss = torch.stack([*(f.pow(2).sum() for f in output.features.values()), *output.penalties.values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for mixer, part, old in zip(sharing.lockstep.mixers, kept, before, strict=True):
        assert not mixer.matrix[~part].any()
        assert not torch.equal(mixer.matrix[part], old[part])


@pytest.mark.parametrize("name", SCHEMES)
def test_a_pruned_scheme_is_built_again_from_its_connections(name: str, states: WordStates):
    sharing = set_alpha(build(name), SOME, only_a_and_b())
    pruning = sharing.prune(0.2)
    again = build(name, connections=pruning.connections)
    again.load_state_dict(sharing.state_dict())
    assert again.lockstep.reads == sharing.lockstep.reads
    found, expected = features(again, states), features(sharing, states)
    assert all(torch.equal(found[task], expected[task]) for task in TASKS)


@pytest.mark.parametrize(
    ("connections", "found"),
    [
        ([[[1] * 6] * 6], "got 1 of 6 x 6"),
        ([[[1] * 4] * 4] * 2, "got 2 of 4 x 4"),
        ([[[1] * 6] * 6, [[1] * 6] * 5], "got 2 of 5 x 6 and 6 x 6"),
    ],
)
def test_connections_of_other_tasks_or_towers_are_an_error(connections: list, found: str):
    with pytest.raises(ConfigError, match=rf"connections: expected 2 matrices of 6 x 6, .* {found}"):
        build("sluice", connections=connections)


def test_a_layer_of_a_tower_that_is_gone_has_no_penalty():
    sharing = set_alpha(build("sluice"), SOME, only_a_and_b())
    assert isinstance(sharing, Sluice)
    of_c = [p for gate in sharing.lockstep.in_order()[2].unit_weights(1) for p in [gate]]
    for gate in of_c:
        nn.init.constant_(gate, 10.0)
    before = sharing.omega()
    sharing.prune(0.001)
    assert sharing.omega() < before / 10
