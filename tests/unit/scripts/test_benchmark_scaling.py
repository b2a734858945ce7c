"""The benchmark of scaling: its count of operations, the plain loop beside it, and what it divides by what."""

import runpy
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from seqmtl.data.collation import Collator
from seqmtl.data.toy import generate
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.setup import prepare

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield runpy.run_path(str(SCRIPTS / "benchmark_scaling.py"))
    for name in ("_benchmark", "_flops", "_learner", "_plain_loop", "_teams"):
        sys.modules.pop(name, None)


@pytest.fixture
def prepared(tiny, tiny_encoder):
    tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
    return prepare(RecipeSpec.parse(tiny, source="test"), folder=Path())


def test_operations_of_an_encoder_are_those_that_torch_counts(script, tiny_encoder):
    model = AutoModel.from_pretrained(tiny_encoder, attn_implementation="eager", add_pooling_layer=False)
    with FlopCounterMode(display=False) as counter:
        for length in (9, 4):
            model(input_ids=torch.ones(1, length, dtype=torch.long))
    assert script["encoder_flops"](model.config, [9, 4]) == counter.get_total_flops()


def test_operations_of_a_linear_head_are_two_for_each_weight_and_word(script, prepared):
    heads = torch.nn.ModuleDict({name: prepared.model.heads[name] for name in ("upos", "chunk")})
    labels = [len(task.labels) for task in prepared.tasks if task.name in heads]
    assert script["head_flops"](heads, 10) == 2 * 10 * prepared.model.sharing.out_features * sum(labels)


def test_a_plain_loop_labels_the_first_piece_of_each_word(script, prepared, tiny_encoder):
    tasks = {task.name: task for task in prepared.tasks}
    rows = [row for row in generate("train", n=40, seed=0) if prepared.indexer.length(row["tokens"]) <= 32]  # a window
    assert len(rows) > 3
    batch = Collator(prepared.indexer, prepared.tasks)([("toy", row) for row in rows])
    loop = script["PlainLoop"](tasks["upos"], pretrained=str(tiny_encoder), steps=2)
    labels = loop._labels(batch)
    pieces = batch.inputs.pieces
    for row, found, word in zip(rows, labels, pieces.word.tolist(), strict=True):
        starts = [n for n, w in enumerate(word) if w >= 0 and w != word[n - 1]]
        assert found[starts].tolist() == tasks["upos"].labels.ids(row["upos"])
        assert (found != -100).sum() == len(row["tokens"])
    before = loop.model.classifier.weight.clone()
    loop.step(batch)
    assert not torch.equal(loop.model.classifier.weight, before)


def test_padding_is_what_is_computed_beside_the_real_pieces(script, prepared):
    figure = script["padding"](prepared)
    rows = [row for source in prepared.train.values() for row in source.rows]
    assert figure.theirs_ms == pytest.approx(sum(prepared.indexer.length(row["tokens"]) for row in rows) / 1000)
    assert 0.5 < figure.ratio < 1.0


def test_figures_are_ratios_of_what_was_measured_on_the_same_batch(script):
    times = {"step": [90.0, 180.0], "collation": [10.0, 20.0], "torch.mm": [5.0, 10.0], "step of four": [100.0, 100.0]}
    times |= {"oneDNN": [2.5, 5.0], "a": [100.0, 100.0], "b": [200.0, 200.0], "bf16": [45.0, 90.0]}
    times["compiled"] = [180.0, 360.0]
    figures = script["figures_of"](times, flops=[16 * script["Products"].flops] * 2, names=("a", "b"))
    expected = {"plain loops of 2 tasks": 3.0, "bf16": 2.0, "compiled": 0.5}
    expected |= {"FLOP utilisation, of torch.mm": 0.8, "FLOP utilisation, of oneDNN": 0.4}
    assert {name: figure.ratio for name, figure in figures.items()} == pytest.approx(expected)
    assert all(figure.met for figure in figures.values())


def test_one_side_collates_in_the_background_and_the_other_finds_its_batches(script, prepared):
    items = [(step, script["Lesson"](None, {})) for step in script["steps_of"](prepared, count=3)]
    learned, collated = [], []

    def collate(rows):
        collated.append(threading.current_thread())
        return rows

    learner = SimpleNamespace(step=lambda lesson: learned.append(lesson.batch))
    assert script["waiting"](learner, items, collate, rounds=3).bar == script["DATA_BAR"]
    made = [step.rows for step, _ in items]
    assert [batch for batch in learned if batch is not None] == 4 * made  # a round is for warming up
    assert learned.count(None) == 4 * len(items)
    assert len(collated) == 4 * len(items)
    assert threading.current_thread() not in collated
