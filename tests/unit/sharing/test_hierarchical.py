"""Low supervision: METHODS.md section 1.3."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from seqmtl.batch import WordStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.hierarchical import Hierarchical
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, HierarchicalSpec, TransformerTowerSpec

DEPTHS = {"pos": 1, "chunk": 2, "ner": 2, "srl": 3}
TASKS = tuple(DEPTHS)
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]


@pytest.fixture
def sharing() -> Hierarchical:
    return Hierarchical(BiLSTMTower(4, width=6, layers=3, dropout=0.0), depths=DEPTHS)


def words() -> WordStates:
    return WordStates(torch.randn(2, 5, 4), MASK)


def layers_with_gradient(sharing: Hierarchical, loss: Tensor) -> list[str]:
    sharing.zero_grad()
    loss.backward()
    layers = sharing.tower.layers.items()
    found = [(name, [p.grad is not None and bool(p.grad.any()) for p in layer.parameters()]) for name, layer in layers]
    assert all(all(some) or not any(some) for _, some in found)
    return [name for name, some in found if any(some)]


def test_ls1_no_gradient_above_the_supervised_layer(sharing):
    for task, depth in DEPTHS.items():
        loss = sharing(words(), Request(TASKS)).features[task].square().sum()
        assert layers_with_gradient(sharing, loss) == ["0", "1", "2"][:depth]
        assert all(p.grad is None for layer in list(sharing.tower.layers.values())[depth:] for p in layer.parameters())


def test_a_task_reads_the_state_after_its_layer(sharing):
    states = words()
    after = sharing.tower.climb(states)
    features = sharing(states, Request(("srl", "ner", "pos"))).features
    assert list(features) == ["srl", "ner", "pos"]
    assert all(torch.equal(value, after[DEPTHS[task] - 1]) for task, value in features.items())


def test_all_tasks_at_the_top_are_hard_sharing():
    tower, states = BiLSTMTower(4, width=6, layers=3, dropout=0.3), words()
    hard = HardSharing(4, tower=deepcopy(tower))
    ours = Hierarchical(tower, depths=dict.fromkeys(TASKS, 3))
    outputs, grads = [], []
    for sharing in (hard, ours):
        torch.manual_seed(3)  # the same dropout
        features = sharing(states, Request(TASKS)).features
        assert all(features[task] is features["pos"] for task in TASKS)
        outputs.append(features["pos"])
        grads.append(torch.autograd.grad(outputs[-1].square().sum(), list(sharing.parameters())))
    assert torch.equal(*outputs)
    assert all(torch.equal(left, right) for left, right in zip(*grads, strict=True))


def test_layers_above_the_deepest_wanted_task_do_not_run(sharing):
    states = words()
    whole = sharing(states, Request(TASKS)).features
    sharing.tower.layers["2"].forward = None  # it would not be callable
    part = sharing(states, Request(("pos", "ner"))).features
    assert all(torch.equal(part[task], whole[task]) for task in ("pos", "ner"))
    sharing.tower.layers["1"].forward = None
    assert torch.equal(sharing(states, Request(("pos",))).features["pos"], whole["pos"])
    with pytest.raises(TypeError):
        sharing(states, Request(("chunk",)))


def test_layers_serve_the_tasks_at_or_above_them(sharing):
    def names(*tasks: str) -> list[str]:
        serving = {id(p) for p in sharing.serving(tasks)}
        layers = sharing.tower.layers.items()
        return [name for name, layer in layers if {id(p) for p in layer.parameters()} <= serving]

    assert names("pos") == ["0"]
    assert names("ner", "pos") == ["0", "1"]
    assert names("srl") == ["0", "1", "2"]
    assert names() == []


def test_layers_that_no_task_reads_are_not_there():
    sharing = Hierarchical(BiLSTMTower(4, width=6, layers=3, dropout=0.0), depths={"a": 1, "b": 2})
    assert list(sharing.tower.layers) == ["0", "1"]


def build(**depths: int) -> Hierarchical:
    tower = BiLSTMTowerSpec(kind="bilstm", layers=3, width=6)
    spec = HierarchicalSpec(kind="hierarchical", tower=tower, depths=depths)
    sharing = build_sharing(spec, ground=Ground(4), tasks=TASKS)
    assert isinstance(sharing, Hierarchical)
    return sharing


def test_depths_count_from_1_in_a_recipe():
    states, sharing = words(), build(**DEPTHS).eval()
    assert torch.equal(
        sharing(states, Request(("pos",))).features["pos"],
        sharing.tower.layers["0"](states.states, MASK),
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chnk": 2}, r"^sharing\.depths\.chnk: there is no such task; did you mean 'chunk'\?$"),
        ({"chunk": None}, r"^sharing\.depths\.chunk: this key is required: the layer that task 'chunk' reads, 1 to 3$"),
        ({"srl": 4}, r"^sharing\.depths\.srl: got 4, but the tower has 3 layers; allowed: 1 to 3, or give the tower"),
    ],
)
def test_each_task_and_no_other_has_a_layer_of_the_tower(change, complaint):
    depths = {task: depth for task, depth in (DEPTHS | change).items() if depth is not None}
    with pytest.raises(ConfigError, match=complaint):
        build(**depths)


def test_layer_0_is_refused_with_its_path():
    spec = {"kind": "hierarchical", "tower": {"kind": "bilstm"}, "depths": {"pos": 0}}
    with pytest.raises(ConfigError, match=r"depths\.pos: got 0"):
        HierarchicalSpec.parse(spec, source="test")


@torch.no_grad()
def test_a_task_reads_the_encoders_states_after_its_block(cut):
    """The states that transformers calls hidden_states[k], whose index 0 is the embeddings."""
    spec = HierarchicalSpec(
        kind="hierarchical", tower=TransformerTowerSpec(kind="transformer", layers=2), depths={"pos": 1, "ner": 2}
    )
    sharing = build_sharing(spec, ground=cut.ground, tasks=("pos", "ner")).eval()
    features = sharing(cut.encoder(cut.inputs), Request(("pos", "ner"))).features
    pieces = cut.inputs.pieces
    after = cut.whole.model(pieces.ids, pieces.mask.long(), output_hidden_states=True).hidden_states
    for task, depth in spec.depths.items():
        wanted = after[depth].flatten(0, 1)[pieces.first]
        torch.testing.assert_close(features[task][cut.inputs.word_mask], wanted[cut.inputs.word_mask])
    assert torch.equal(features["ner"], cut.whole(cut.inputs).words().states)  # hard sharing, bit for bit
