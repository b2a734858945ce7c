"""One network for all tasks, told the task: METHODS.md section 7."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from seqmtl.batch import WordStates
from seqmtl.layers.conditioning import Concatenation, FiLM, Gate
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.conditioning import Conditioning
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, ConditioningSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]
TOWER = BiLSTMTowerSpec(kind="bilstm", layers=2, width=6, dropout=0.0)
FORMS = [("concat", "sigmoid"), ("multiplicative", "sigmoid"), ("multiplicative", "linear"), ("film", "sigmoid")]


def build(form: str, gate: str = "sigmoid", *, tower: BiLSTMTowerSpec | None = TOWER) -> Conditioning:
    spec = ConditioningSpec(kind="conditioning", form=form, gate=gate, task_size=3, tower=tower)
    sharing = build_sharing(spec, ground=Ground(4), tasks=TASKS)
    assert isinstance(sharing, Conditioning)
    return sharing


def learned(sharing: Conditioning) -> Conditioning:
    """As after some learning: every parameter has moved."""
    with torch.no_grad():
        for parameter in sharing.parameters():
            parameter.add_(torch.randn_like(parameter))
    return sharing


def words() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


@pytest.mark.parametrize(("form", "gate"), FORMS)
def test_the_tower_reads_conditioned_states_task_by_task(form, gate):
    sharing, states = learned(build(form, gate)), words()
    features = sharing(states, Request(TASKS)).features
    assert list(features) == list(TASKS)
    for task in TASKS:
        told = sharing.form(states.states, sharing.vectors.get_parameter(task)[None])[0]
        assert sharing.tower is not None
        torch.testing.assert_close(features[task], sharing.tower(WordStates(told, MASK)))
    assert not torch.isclose(features["a"], features["b"])[MASK].all()


@pytest.mark.parametrize(("form", "gate"), FORMS)
def test_without_a_tower_the_features_are_the_conditioned_states(form, gate):
    sharing, states = learned(build(form, gate, tower=None)), words()
    features = sharing(states, Request(("c", "a"))).features
    assert list(features) == ["c", "a"]
    for task, value in features.items():
        torch.testing.assert_close(value, sharing.form(states.states, sharing.vectors.get_parameter(task)[None])[0])
        assert value.shape[-1] == sharing.out_features == (7 if form == "concat" else 4)


@pytest.mark.parametrize("form", ["film", "multiplicative"])
def test_co1_all_tasks_start_as_hard_sharing(form):
    sharing, states = build(form, "linear"), words()
    hard = HardSharing(4, tower=deepcopy(sharing.tower))
    wanted = hard(states, Request(("a",))).features["a"]
    for value in sharing(states, Request(TASKS)).features.values():
        torch.testing.assert_close(value, wanted, atol=1e-6, rtol=1e-6)


def test_co2_a_concatenated_vector_is_a_bias_of_each_task_under_a_linear_head():
    sharing, states, head = build("concat", tower=None), words(), nn.Linear(7, 2)
    for_states, for_task = head.weight.split((4, 3), dim=1)
    for task, features in sharing(states, Request(TASKS)).features.items():
        wanted = states.states @ for_states.T + (head.bias + for_task @ sharing.vectors.get_parameter(task))
        torch.testing.assert_close(head(features), wanted)


def test_co3_one_hot_gates_make_independent_nets():
    """A linear gate over one-hot vectors gives each task two of six features: the others learn nothing from it."""
    form = Gate(6, task_size=3, squash=nn.Identity(), start=0.0)
    sharing = Conditioning(form, tasks=TASKS, task_size=3, tower=BiLSTMTower(6, width=4, layers=1, dropout=0.0))
    with torch.no_grad():
        form.gate.weight.copy_(torch.eye(3).repeat_interleave(2, dim=0))
        for number, task in enumerate(TASKS):
            sharing.vectors.get_parameter(task).copy_(torch.eye(3)[number])
    nets = [nn.Linear(7, 2) for _ in TASKS]
    inputs = torch.randn(2, 5, 7)
    outputs = [net(inputs) for net in nets]
    features = sharing(WordStates(torch.cat(outputs, dim=-1), MASK), Request(TASKS)).features
    for number, task in enumerate(TASKS):
        alone = [output if n == number else torch.zeros_like(output) for n, output in enumerate(outputs)]
        assert sharing.tower is not None
        torch.testing.assert_close(features[task], sharing.tower(WordStates(torch.cat(alone, dim=-1), MASK)))
        grads = torch.autograd.grad(features[task].sum(), [net.weight for net in nets], retain_graph=True)
        assert [bool(grad.any()) for grad in grads] == [n == number for n in range(3)]


def test_hs2_a_task_leaves_the_vectors_of_others_without_gradient():
    sharing = learned(build("film"))
    sharing(words(), Request(("b",))).features["b"].square().sum().backward()
    moved = {id(p) for p in sharing.parameters() if p.grad is not None and p.grad.any()}
    assert moved == {id(p) for p in sharing.serving(["b"])}
    assert all(sharing.vectors.get_parameter(task).grad is None for task in "ac")


def test_each_copy_of_a_sentence_draws_its_own_dropout():
    spec = TOWER.model_copy(update={"dropout": 0.5})
    sharing = build("film", tower=spec)
    features = sharing(words(), Request(TASKS)).features
    assert not torch.equal(features["a"], features["b"])
    sharing.eval()
    features = sharing(words(), Request(TASKS)).features
    torch.testing.assert_close(features["a"], features["b"])


def test_a_task_may_be_called_like_a_method_of_a_dictionary():
    sharing = Conditioning(FiLM(4, task_size=3), tasks=("copy", "get"), task_size=3, tower=None)
    assert list(sharing(words(), Request(("get",))).features) == ["get"]


def test_task_vectors_start_apart_with_a_length_near_1():
    sharing = build_sharing(ConditioningSpec(kind="conditioning", task_size=400), ground=Ground(4), tasks=TASKS)
    assert isinstance(sharing, Conditioning)
    vectors = torch.stack([sharing.vectors.get_parameter(task) for task in TASKS])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3), atol=0.15, rtol=0.0)
    assert (torch.pdist(vectors) > 1.0).all()


@pytest.mark.parametrize(
    ("form", "gate", "names", "columns"),
    [
        ("concat", "sigmoid", ["z"], 3),
        ("multiplicative", "sigmoid", ["gate"], 4),
        ("multiplicative", "linear", ["gate"], 4),
        ("film", "sigmoid", ["gamma", "beta"], 4),
    ],
)
def test_coupling_shows_what_each_task_does_to_each_feature(form, gate, names, columns):
    sharing = learned(build(form, gate, tower=None))
    tables = sharing.coupling().tables
    assert list(tables) == names
    for table in tables.values():
        assert (list(table.rows), list(table.columns)) == (list(TASKS), [str(n + 1) for n in range(columns)])
        assert not table.values.requires_grad
    shown = {name: table.values for name, table in tables.items()}
    states = words()
    for m, (task, told) in enumerate(sharing(states, Request(TASKS)).features.items()):
        match sharing.form:
            case Concatenation():
                wanted = torch.cat((states.states, shown["z"][m].expand(2, 5, -1)), dim=-1)
            case Gate():
                wanted = states.states * shown["gate"][m]
                assert gate == "linear" or ((shown["gate"] > 0) & (shown["gate"] < 1)).all()
            case FiLM():
                wanted = states.states * shown["gamma"][m] + shown["beta"][m]
        torch.testing.assert_close(told, wanted)
        assert task == list(TASKS)[m]
