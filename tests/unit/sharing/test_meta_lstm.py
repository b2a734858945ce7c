"""Sharing inside the recurrence: METHODS.md section 3."""

from copy import deepcopy

import pytest
import torch

from seqmtl.batch import WordStates
from seqmtl.kernels.meta_lstm import BasicWeights, reference
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.meta_lstm import MetaLSTM
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import MetaLSTMSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def build(**settings) -> MetaLSTM:
    spec = MetaLSTMSpec(kind="meta_lstm", width=8, meta_size=3, vector_size=2, dropout=0.0, **settings)
    sharing = build_sharing(spec, ground=Ground(6), tasks=TASKS)
    assert isinstance(sharing, MetaLSTM)
    return sharing


def words() -> WordStates:
    return WordStates(torch.randn(2, 5, 6), MASK)


@pytest.mark.parametrize("settings", [{}, {"z_offset": True, "share_directions": True}, {"project_z": False}])
def test_ml1_each_task_runs_its_own_trajectory_under_the_shared_cell(settings):
    sharing, states = build(layers=2, **settings), words()
    features = sharing(states, Request(("c", "a"))).features
    assert list(features) == ["c", "a"]
    for task in ("c", "a"):
        hidden = states.states[None]
        for layer in sharing.layers:
            cell = layer.basic[task]
            own = BasicWeights(*(part[None] for part in (cell.left, cell.right, cell.generated_bias)))
            offset = float(settings.get("z_offset", False))
            hidden = reference.meta_lstm(hidden, MASK, layer.meta.weights(), own, z_offset=offset).hidden
        torch.testing.assert_close(features[task], hidden[0])


def test_ml3_parameters_are_one_meta_cell_and_a_basic_cell_per_task():
    sharing = build()
    d, h, m, z = 6, 4, 3, 2
    meta, basic = 4 * m * (d + h + m + 1) + m * z, 12 * h * z + 4 * d * z
    assert sum(p.numel() for p in sharing.parameters()) == 2 * (meta + len(TASKS) * basic)
    shared = build(share_directions=True)
    assert sum(p.numel() for p in shared.parameters()) == meta + 2 * len(TASKS) * basic


def test_ml4_both_tasks_teach_the_meta_cell_and_neither_the_others_basic_cell():
    sharing, states = build(layers=2), words()
    grads = {}
    for task in ("a", "b"):
        sharing.zero_grad()
        sharing(states, Request(TASKS)).features[task].square().sum().backward()
        for layer in sharing.layers:
            assert all(p.grad.abs().sum() > 0 for p in layer.meta.parameters())
            for name, cell in layer.basic.items():
                for parameter in cell.parameters():
                    assert (parameter.grad is not None and bool(parameter.grad.any())) == (name == task)
        grads[task] = sharing.layers[0].meta.gates.grad.clone()
    sharing.zero_grad()
    features = sharing(states, Request(TASKS)).features
    (features["a"].square().sum() + features["b"].square().sum()).backward()
    torch.testing.assert_close(sharing.layers[0].meta.gates.grad, grads["a"] + grads["b"])


def test_ml4_tasks_with_copied_basic_cells_are_the_same():
    sharing = build(layers=2)
    for layer in sharing.layers:
        layer.basic["b"] = deepcopy(layer.basic["a"])
    features = sharing(words(), Request(TASKS)).features
    torch.testing.assert_close(features["a"], features["b"])
    assert not torch.isclose(features["a"], features["c"])[MASK].all()


def test_ml6_padding_and_the_other_sentences_do_not_matter():
    sharing, states = build(layers=2).eval(), words()
    whole = sharing(states, Request(TASKS)).features
    for row, length in enumerate((5, 2)):
        alone = WordStates(states.states[row : row + 1, :length], MASK[row : row + 1, :length])
        for task, features in sharing(alone, Request(TASKS)).features.items():
            torch.testing.assert_close(features[0], whole[task][row, :length])
            assert not whole[task][row, length:].any()


def test_serving_is_what_the_features_depend_on():
    sharing = build(layers=2)
    sharing(words(), Request(("b",))).features["b"].sum().backward()
    touched = {id(p) for p in sharing.parameters() if p.grad is not None}
    assert touched == {id(p) for p in sharing.serving(["b"])}


def test_what_happens_at_each_word_is_a_table_per_layer():
    sharing = build(layers=2, z_offset=True).eval()
    one = WordStates(words().states[1:], MASK[1:])
    tables = sharing.at_words(one, ("c", "a"))
    assert list(tables) == ["generated weights 1", "generated weights 2"]
    assert all(values.shape == (2, 2) for values in tables.values())
    layer = sharing.layers[0]
    z = layer(one.states[None], one.mask, ["c"]).meta[0]  # [R, 1, T, Z]
    cell = layer.basic["c"]
    matrices = torch.einsum("rghz,rtz,rgzd->trghd", cell.left, z[:, 0, :2], cell.right)
    torch.testing.assert_close(tables["generated weights 1"][:, 0], matrices.flatten(1).norm(dim=1).detach())
