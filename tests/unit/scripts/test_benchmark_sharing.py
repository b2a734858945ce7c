"""The benchmark of sharing: it times what the recipes train, and batched towers compute what the loop does."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from seqmtl.layers.bilstm import BiLSTM
from seqmtl.specs.recipe import load_recipe

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield lambda name: runpy.run_path(str(SCRIPTS / f"{name}.py"))
    for name in ("_benchmark", "_learner", "_batched_towers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("part", "scheme", "recipe"),
    [
        (0, "hard", "ewt_bilstm_hard"),
        (0, "cross_stitch", "ewt_bilstm_cross_stitch"),
        (0, "sluice", "ewt_bilstm_sluice"),
        (1, "hard", "ewt_hard_unmixed"),
        (1, "independent", "ewt_independent"),
        (1, "cross_stitch", "ewt_cross_stitch"),
        (1, "sluice", "ewt_sluice"),
    ],
)
def test_the_schemes_that_are_timed_are_those_of_the_recipes(load, part, scheme, recipe):
    assert load("benchmark_sharing")["PARTS"][part].schemes()[scheme] == load_recipe(recipe)[0].sharing


def test_mixing_is_measured_against_independent_towers_turn_by_turn(load):
    mixing = {"cross_stitch": [2.0, 4.0], "alpha and beta": [2.1, 4.2], "sluice": [2.2, 4.4]}
    times = {"hard": [1.0, 1.0], "independent": [2.0, 4.0], **mixing}
    script = load("benchmark_sharing")
    figures = script["figures_of"]("training", times, mixing_bar=script["MIXING_BAR"], towers_bar=0.0)
    assert list(figures) == [
        "training: independent / hard",
        "training: cross_stitch / independent",
        "training: alpha and beta / independent",
        "training: sluice / independent",
    ]
    assert [figure.ratio for figure in figures.values()] == pytest.approx([(1 / 2 + 1 / 4) / 2, 1.0, 1 / 1.05, 1 / 1.1])
    assert [figure.met for figure in figures.values()] == [True, True, True, False]


def test_one_recurrence_of_all_bilstms_has_the_outputs_and_gradients_of_the_loop(load):
    towers = load("_batched_towers")
    layers = [BiLSTM(6, width=8).double() for _ in range(3)]
    for layer in layers:  # biases that start at 0 or 1 hide one that is misplaced
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
    mask = torch.arange(5) < torch.tensor([5, 2, 3, 1])[:, None]
    states = [torch.randn(4, 5, 6, dtype=torch.double, requires_grad=True) for _ in layers]
    loop = towers["Loop"](layers, lambda layer, state: layer(state, mask))
    batched = towers["BatchedBiLSTMs"](layers, mask)
    torch.testing.assert_close(batched.outputs(states), loop.outputs(states))
    ours, theirs = batched.step(states), loop.step(states)
    torch.testing.assert_close(ours[:3], theirs[:3])
    inner, outer, bias = ours[3:]
    lstms = [theirs[start : start + 4] for start in range(3, len(theirs), 4)]  # forward and backward, layer by layer
    torch.testing.assert_close(inner.mT, torch.stack([weight for weight, _, _, _ in lstms]))
    torch.testing.assert_close(outer.mT, torch.stack([weight for _, weight, _, _ in lstms]))
    torch.testing.assert_close(bias[:, 0], torch.stack([one for _, _, one, _ in lstms]))


def test_blocks_under_vmap_have_the_outputs_and_gradients_of_the_loop(load):
    towers = load("_batched_towers")
    config = BertConfig(hidden_size=8, num_attention_heads=2, intermediate_size=12, attn_implementation="eager")
    blocks = [BertLayer(config).double().eval() for _ in range(3)]
    states = [torch.randn(4, 5, 8, dtype=torch.double, requires_grad=True) for _ in blocks]
    lengths = torch.tensor([5, 2, 3, 1])
    hidden = (torch.arange(5) >= lengths[:, None])[:, None, None].double() * -1e9
    loop = towers["Loop"](blocks, lambda block, state: block(state, hidden))
    batched = towers["BatchedBlocks"](blocks, lambda block, state: block(state, hidden))
    torch.testing.assert_close(batched.outputs(states), loop.outputs(states))
    ours, theirs = batched.step(states), loop.step(states)
    torch.testing.assert_close(ours[:3], theirs[:3])
    per_block = len(list(blocks[0].parameters()))
    rows = [theirs[3 + start : 3 + start + per_block] for start in range(0, 3 * per_block, per_block)]
    torch.testing.assert_close(ours[3:], [torch.stack(weights) for weights in zip(*rows, strict=True)])


@pytest.mark.slow
def test_every_measurement_runs_and_prunes_alpha_to_its_diagonal(load, shared_data):
    script = load("benchmark_sharing")
    bench = script["Bench"](script["PARTS"][0], argparse.Namespace(quick=True))
    bench.rounds, bench.lessons = 1, bench.lessons[:1]
    figures = bench.training() | bench.inference() | bench.pruned() | bench.towers()
    assert len(figures) == 10
    assert all(figure.ours_ms > 0 and figure.theirs_ms > 0 for figure in figures.values())
