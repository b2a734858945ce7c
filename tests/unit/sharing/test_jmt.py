"""The joint many-task model: METHODS.md section 1.4."""

import math

import pytest
import torch
from torch import Tensor, nn

from seqmtl.batch import WordStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.jmt import JointManyTask, LabelEmbedding
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, JMTSpec

D, H, E, LAYERS = 4, 6, 3, 2
ORDER = ("upos", "chunk", "ner", "srl")
WORD_LABELS = {"upos": 5, "chunk": 2, "ner": 7}  # srl labels words once per predicate
TOWER = BiLSTMTowerSpec(kind="bilstm", layers=LAYERS, width=H, dropout=0.0)
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


def build(*tasks: str, order: tuple[str, ...] | None = None, detach: bool = False) -> JointManyTask:
    spec = JMTSpec(kind="jmt", tower=TOWER, order=order, label_dim=E, detach_label_embeddings=detach)
    ground = Ground(D, word_labels={task: WORD_LABELS[task] for task in tasks if task in WORD_LABELS})
    sharing = build_sharing(spec, ground=ground, tasks=tasks)
    assert isinstance(sharing, JointManyTask)
    return sharing


@pytest.fixture
def heads() -> nn.ModuleDict:
    return nn.ModuleDict({task: nn.Linear(H, labels) for task, labels in WORD_LABELS.items()})


@pytest.fixture
def states() -> WordStates:
    return WordStates(torch.randn(2, 5, D), MASK)


def ask(heads: nn.ModuleDict, *tasks: str) -> Request:
    return Request(tasks, read=lambda task, features, _: heads[task](features).softmax(dim=-1))


def graded(parameters: list[nn.Parameter]) -> list[bool]:
    return [p.grad is not None and bool(p.grad.any()) for p in parameters]


def test_jmt2_a_one_hot_distribution_gives_the_label_embedding_exactly():
    labels = torch.tensor([[3, 0, 1], [2, 2, 4]])
    embedding = LabelEmbedding(5, E)
    assert torch.equal(embedding(nn.functional.one_hot(labels, 5).float()), embedding.weight[labels])


def test_label_embeddings_start_between_the_bounds_of_the_paper():
    bound = math.sqrt(6 / (40 + 60))
    weight = LabelEmbedding(60, 40).weight
    assert 0.95 * bound < weight.abs().max() <= bound
    assert weight.min() < 0.0 < weight.max()


def test_a_layer_reads_the_one_below_the_words_and_the_sum_of_the_lower_label_embeddings(heads, states):
    jmt = build(*ORDER)
    towers, x = jmt.towers, states.states

    def run(task: str, *parts: Tensor) -> Tensor:
        return towers[task](WordStates(torch.cat(parts, dim=-1), MASK))

    def expected(task: str, hidden: Tensor) -> Tensor:
        p, rows = heads[task](hidden).softmax(dim=-1), jmt.labels[task].weight
        return torch.stack([p[..., j, None] * rows[j] for j in range(WORD_LABELS[task])]).sum(dim=0)

    upos = run("upos", x)
    chunk = run("chunk", upos, x, expected("upos", upos))
    ner = run("ner", chunk, x, expected("upos", upos) + expected("chunk", chunk))
    summed = expected("upos", upos) + expected("chunk", chunk) + expected("ner", ner)
    found = jmt(states, ask(heads, *ORDER)).features
    for task, features in zip(ORDER, (upos, chunk, ner, run("srl", ner, x, summed)), strict=True):
        torch.testing.assert_close(found[task], features)
        assert features.shape == (2, 5, H)


def test_a_task_that_labels_no_words_has_no_label_embedding_wherever_it_stands(heads, states):
    jmt = build(*ORDER, order=("srl", "upos", "chunk", "ner"))
    assert list(jmt.labels) == ["upos", "chunk"]  # nobody stands above ner
    reads = [next(iter(tower.parameters())).shape[1] for tower in jmt.towers.values()]
    assert reads == [D, H + D, H + D + E, H + D + E]
    assert jmt(states, ask(heads, *ORDER)).features["ner"].shape == (2, 5, H)


def test_without_an_order_tasks_stand_as_the_recipe_lists_them():
    assert list(build(*ORDER).towers) == list(ORDER)
    assert list(build(*ORDER, order=ORDER[::-1]).towers) == list(ORDER[::-1])
    assert [len(tower.layers) for tower in build(*ORDER).towers.values()] == [LAYERS] * 4


def test_features_of_lower_tasks_are_the_same_without_the_higher_ones(heads, states):
    whole, lower = build(*ORDER), build(*ORDER[:2])
    kept = {name: value for name, value in whole.state_dict().items() if name in lower.state_dict()}
    lower.load_state_dict(kept)
    every = whole(states, ask(heads, *ORDER)).features
    alone = lower(states, ask(heads, *ORDER[:2])).features
    assert all(torch.equal(every[task], alone[task]) for task in ORDER[:2])


def test_layers_above_the_highest_wanted_task_are_not_run(heads, states):
    jmt, ran = build(*ORDER), []
    for task, module in (*jmt.towers.items(), *heads.items()):
        module.register_forward_hook(lambda *_, task=task: ran.append(task))
    assert list(jmt(states, ask(heads, "chunk")).features) == ["chunk"]
    assert ran == ["upos", "upos", "chunk"]  # a tower, a head, a tower: what chunk predicts is for others


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("task", ORDER)
def test_what_serves_a_task_is_what_its_loss_reaches(heads, states, task: str, detach: bool):
    jmt = build(*ORDER, detach=detach)
    jmt(states, ask(heads, task)).features[task].square().sum().backward()
    serving = {id(p) for p in jmt.serving([task])}
    assert graded(list(jmt.parameters())) == [id(p) in serving for p in jmt.parameters()]
    assert {name for name, head in heads.items() if all(graded(list(head.parameters())))} == set(jmt.reads([task]))
    assert jmt.reads([task]) == ([] if detach else list(ORDER[: ORDER.index(task)]))


def test_nothing_serves_no_task():
    assert build(*ORDER).serving([]) == []


def test_detached_label_embeddings_are_the_same_numbers(heads, states):
    flowing, detached = build(*ORDER), build(*ORDER, detach=True)
    detached.load_state_dict(flowing.state_dict())
    for jmt in (flowing, detached):
        jmt.out = jmt(states, ask(heads, "srl")).features["srl"]
    assert torch.equal(flowing.out, detached.out)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (("upos", "chunks", "ner"), r"sharing\.order: no task 'chunks'; did you mean 'chunk'"),
        (("upos", "chunk", "upos", "ner"), r"sharing\.order: task 'upos' is there 2 times"),
        (("ner", "upos"), r"sharing\.order: ner, upos leaves out chunk; name every task once"),
        ((), r"sharing\.order: .* leaves out upos, chunk, ner"),
    ],
)
def test_an_order_must_name_every_task_once(order: tuple[str, ...], complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        build("upos", "chunk", "ner", order=order)
