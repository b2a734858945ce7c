"""Layer attention: each task mixes the layers of the encoder for itself."""

from pathlib import Path

import pytest
import torch

from seqmtl.batch import PieceInputs, PieceStates
from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.layer_attention import LayerAttention
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import HardSharingSpec
from seqmtl.training.setup import prepare

TASKS = ("a", "b", "c")
W, P, D, K = 2, 4, 6, 3
ATTENDING = HardSharingSpec(kind="hard", layer_attention=True)


@pytest.fixture
def scheme():
    made = LayerAttention(D, tasks=TASKS, layers=K)
    for number, mix in enumerate(made.mixes.values()):
        mix.weights.data.copy_(torch.tensor([0.5, -1.0, 2.0]).roll(number))
        mix.gamma.data.fill_(1.0 + number)
    return made


@pytest.fixture
def states():
    """Each piece a word, in the order of the pieces."""
    layers = tuple(torch.randn(W, P, D) for _ in range(K))
    positions = torch.arange(W * P).view(W, P)
    everywhere = torch.ones(W, P, dtype=torch.bool)
    pieces = PieceInputs(positions, everywhere, positions, everywhere, positions, positions)
    return PieceStates(layers[-1], pieces, everywhere, lambda piece: piece.flatten(0, 1)[positions], layers=layers)


def test_each_task_reads_its_own_mixture(scheme, states):
    features = scheme(states, Request(("c", "a"))).features
    assert list(features) == ["c", "a"]
    for task, mixture in features.items():
        mix = scheme.mixes[task]
        shares = mix.weights.exp() / mix.weights.exp().sum()
        expected = mix.gamma * sum(share * layer for share, layer in zip(shares, states.layers, strict=True))
        torch.testing.assert_close(mixture, expected)


def test_it_starts_at_the_mean_of_the_layers_for_every_task(states):
    features = LayerAttention(D, tasks=TASKS, layers=K)(states, Request(TASKS)).features
    for task in TASKS:
        torch.testing.assert_close(features[task], torch.stack(states.layers).mean(dim=0))


def test_a_task_teaches_its_own_mixture_alone(scheme, states):
    scheme(states, Request(TASKS)).features["b"].square().sum().backward()
    for task, mix in scheme.mixes.items():
        assert all(bool(p.grad.any()) == (task == "b") for p in mix.parameters())
    assert scheme.serving(["b"]) == list(scheme.mixes["b"].parameters())


def test_the_shares_of_the_layers_are_what_it_learns(scheme):
    table = scheme.coupling().tables["layer attention"]
    assert (list(table.rows), list(table.columns)) == (list(TASKS), ["embeddings", "layer 1", "layer 2"])
    torch.testing.assert_close(table.values.sum(dim=1), torch.ones(3))
    assert table.values.argmax(dim=1).tolist() == [2, 0, 1]


def test_what_other_tasks_read_is_dropped(scheme):
    scheme.keep(["a"])
    assert list(scheme.mixes) == ["a"]
    assert list(scheme.coupling().tables["layer attention"].rows) == ["a"]


def test_it_wants_a_transformer_that_does_not_mix_its_layers_itself(tiny_model):
    with pytest.raises(ConfigError, match=r"sharing.layer_attention: .*encoder.scalar_mix"):
        tiny_model("upos", sharing=ATTENDING)


def test_it_wants_a_transformer(tiny):
    tiny["sharing"] = ATTENDING.model_dump()
    with pytest.raises(ConfigError, match=r"sharing.layer_attention: mixes the layers of a transformer encoder"):
        prepare(RecipeSpec.parse(tiny, source="test"), folder=Path())


def test_it_has_no_tower():
    with pytest.raises(ConfigError, match="leave out 'tower' or 'layer_attention'"):
        HardSharingSpec.parse({"kind": "hard", "layer_attention": True, "tower": {"kind": "bilstm"}}, source="test")
