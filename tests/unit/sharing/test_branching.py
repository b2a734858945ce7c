"""A tree of layers given by hand."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from seqmtl.batch import WordStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.branching import Branching, check_tree
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, BranchingSpec, TransformerTowerSpec

TASKS = ("a", "b", "c", "d")
TREE = (
    (("a", "b", "c", "d"),),
    (("d",), ("b", "c", "a")),
    (("c", "a"), ("b",), ("d",)),
)
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def tower() -> BiLSTMTower:
    return BiLSTMTower(4, width=6, layers=3, dropout=0.0)


def grow(tree) -> Branching:
    return Branching({group[0]: tower() for group in tree[-1]}, tree=tree)


@pytest.fixture
def sharing() -> Branching:
    return grow(TREE)


def words() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


def path(sharing: Branching, task: str) -> list[torch.nn.Module]:
    """The layers on the way to a task in the fixture's tree, each held by the tower in which its first task ends."""
    c, b, d = (sharing.towers[name].layers for name in "cbd")
    return {
        "a": [c["0"], b["1"], c["2"]],
        "b": [c["0"], b["1"], b["2"]],
        "c": [c["0"], b["1"], c["2"]],
        "d": [c["0"], d["1"], d["2"]],
    }[task]


def parameters_of(modules) -> set[int]:
    return {id(p) for module in modules for p in module.parameters()}


def test_each_task_reads_the_layers_on_its_way(sharing):
    states = words()
    features = sharing(states, Request(TASKS)).features
    assert list(features) == list(TASKS)
    for task in TASKS:
        hidden = states.states
        for layer in path(sharing, task):
            hidden = layer(hidden, MASK)
        assert torch.equal(features[task], hidden)
    assert features["a"] is features["c"]
    assert not torch.equal(features["a"], features["b"])


def test_a_layer_is_there_once_for_each_group(sharing):
    held = [layer for tower in sharing.towers.values() for layer in tower.layers.values()]
    assert len(held) == sum(len(groups) for groups in TREE)
    assert parameters_of(held) == {id(p) for p in sharing.parameters()}


def test_hs2_a_task_leaves_the_layers_off_its_way_without_gradient(sharing):
    for task in TASKS:
        sharing.zero_grad()
        sharing(words(), Request(TASKS)).features[task].square().sum().backward()
        moved = {id(p) for p in sharing.parameters() if p.grad is not None}
        assert moved == parameters_of(path(sharing, task)) == {id(p) for p in sharing.serving([task])}


def test_layers_serve_every_task_above_them(sharing):
    serving = [id(p) for p in sharing.serving(["a", "c", "d"])]
    assert len(serving) == len(set(serving))
    assert set(serving) == parameters_of(path(sharing, "c") + path(sharing, "d"))
    assert sharing.serving([]) == []


def test_only_the_wanted_branches_run(sharing):
    states = words()
    whole = sharing(states, Request(TASKS)).features
    for name, layer in (("b", "1"), ("b", "2"), ("c", "2")):
        sharing.towers[name].layers[layer].forward = None  # it would not be callable
    assert torch.equal(sharing(states, Request(("d",))).features["d"], whole["d"])
    with pytest.raises(TypeError):
        sharing(states, Request(("b",)))


def test_one_group_is_hard_sharing():
    stack, states = tower(), words()
    hard = HardSharing(4, tower=deepcopy(stack))
    ours = Branching({"a": stack}, tree=[[TASKS]] * 3)
    features = [sharing(states, Request(TASKS)).features for sharing in (hard, ours)]
    assert all(torch.equal(features[0][task], features[1][task]) for task in TASKS)
    assert same_gradients(hard, ours, *(sum(f[task].square().sum() for task in TASKS) for f in features))


def test_groups_of_one_are_independent_towers():
    towers, states = {task: tower() for task in TASKS}, words()
    apart = Independent(deepcopy(towers))
    ours = Branching(towers, tree=[[(task,) for task in TASKS]] * 3)
    features = [sharing(states, Request(TASKS)).features for sharing in (apart, ours)]
    assert all(torch.equal(features[0][task], features[1][task]) for task in TASKS)
    assert same_gradients(apart, ours, *(sum(f[task].square().sum() for task in TASKS) for f in features))


def same_gradients(one, other, *losses: Tensor) -> bool:
    grads = [torch.autograd.grad(loss, list(s.parameters())) for s, loss in zip((one, other), losses, strict=True)]
    return all(torch.equal(left, right) for left, right in zip(*grads, strict=True))


def test_coupling_is_the_tree_as_ones_where_two_tasks_share_a_layer(sharing):
    tables = sharing.coupling().tables
    assert list(tables) == ["shared 1", "shared 2", "shared 3"]
    for table, groups in zip(tables.values(), TREE, strict=True):
        assert sorted(table.rows) == list(TASKS)
        assert table.rows == table.columns
        for i, one in enumerate(table.rows):
            for j, other in enumerate(table.columns):
                assert table.values[i, j] == any({one, other} <= set(group) for group in groups)


def build(tree) -> Branching:
    spec = BranchingSpec(kind="branching", tower=BiLSTMTowerSpec(kind="bilstm", layers=3, width=6), tree=tree)
    sharing = build_sharing(spec, ground=Ground(4), tasks=TASKS)
    assert isinstance(sharing, Branching)
    return sharing


def test_a_recipes_tree_is_grown():
    sharing = build(TREE)
    assert sharing.tree == TREE
    assert {name: list(tower.layers) for name, tower in sharing.towers.items()} == {
        "c": ["0", "2"],
        "b": ["1", "2"],
        "d": ["1", "2"],
    }


@pytest.mark.parametrize(
    ("number", "groups", "complaint"),
    [
        (1, [["a", "b"], ["c"]], r"sharing\.tree, layer 1: no group has 'd'; put each task into one, alone if"),
        (2, [["a", "b", "b"], ["c"], ["d"]], r"sharing\.tree, layer 2: task 'b' stands there 2 times; leave it in one"),
        (2, [["a", "b"], ["b", "c"], ["d"]], r"sharing\.tree, layer 2: task 'b' stands there 2 times"),
        (3, [["a"], ["b"], ["c"], ["e"]], r"sharing\.tree, layer 3: there is no task 'e'; allowed: a, b, c, d"),
        (3, [["a"], ["b", "d"], ["c"]], r"sharing\.tree, layer 3: group \[b, d\] joins tasks that layer 2 keeps apart"),
        (1, [["a", "b", "c"], ["d"]], None),
        (
            1,
            [["a"], ["b", "c", "d"]],
            r"sharing\.tree, layer 2: group \[b, c, a\] joins tasks that layer 1 keeps apart",
        ),
    ],
)
def test_each_level_parts_the_tasks_within_the_groups_below(number, groups, complaint):
    tree = [*TREE[: number - 1], groups, *TREE[number:]]
    if complaint is None:
        build(tree)
        return
    with pytest.raises(ConfigError, match=complaint):
        build(tree)


@pytest.mark.parametrize("levels", [2, 4])
def test_there_is_a_level_for_each_layer(levels):
    with pytest.raises(ConfigError, match=rf"sharing\.tree: {levels} levels, but the tower has 3 layers; give the"):
        build((*TREE, TREE[-1])[:levels])


def test_an_empty_group_is_refused_with_its_path():
    spec = {"kind": "branching", "tower": {"kind": "bilstm"}, "tree": [[["a"], []]]}
    with pytest.raises(ConfigError, match=r"tree\.0\.1: "):
        BranchingSpec.parse(spec, source="test")


def test_a_tree_that_fits_is_let_pass():
    check_tree(TREE, tasks=TASKS, layers=3)


@torch.no_grad()
def test_branches_of_transformer_blocks_start_as_the_encoder(cut):
    spec = BranchingSpec(
        kind="branching",
        tower=TransformerTowerSpec(kind="transformer", layers=2),
        tree=((("a", "b", "c"),), (("a",), ("b", "c"))),
    )
    sharing = build_sharing(spec, ground=cut.ground, tasks=("a", "b", "c")).eval()
    assert {name: list(tower.layers) for name, tower in sharing.towers.items()} == {"a": ["0", "1"], "b": ["1"]}
    features = sharing(cut.encoder(cut.inputs), Request(("a", "b", "c"))).features
    for task in "abc":
        assert torch.equal(features[task], cut.whole(cut.inputs).words().states)
