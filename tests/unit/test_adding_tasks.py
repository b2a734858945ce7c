"""One task more than a model was trained with."""

import pytest
import torch
from pydantic import TypeAdapter

from seqmtl.data.collation import Collator
from seqmtl.data.tasks import build_task
from seqmtl.errors import ConfigError
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.sharing import SharingSpec
from seqmtl.specs.tasks import TaskSpec

OLD = ("upos", "chunk")
META = {"kind": "meta_lstm", "width": 8, "meta_size": 3, "vector_size": 2}
TOWER = {"kind": "bilstm", "layers": 1, "width": 8}
SCHEMES = {
    "hard": {"kind": "hard"},
    "independent": {"kind": "independent", "tower": TOWER},
    "meta_lstm": META,
    "shared_private": {"kind": "shared_private", "shared": TOWER, "private": TOWER},
}


def sharing(values) -> SharingSpec:
    return TypeAdapter[SharingSpec](SharingSpec).validate_python(values)


def ner(rows, name="ner"):
    return build_task(name, TaskSpec.parse({"layer": "ner_tags", "head": {"kind": "softmax"}}, source="test"), rows)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))
def test_what_was_there_stays_and_the_new_task_trains(tiny_model, scheme):
    tiny = tiny_model(*OLD, sharing=sharing(scheme))
    before = tiny.model.eval()
    grown = before.add_task(ner(tiny.rows))
    assert list(grown.tasks) == [*OLD, "ner"]
    assert all(torch.equal(grown.state_dict()[name], values) for name, values in before.state_dict().items())
    grown.eval()
    ours, theirs = (m.features(tiny.batch.inputs, OLD) for m in (grown, before))
    assert all(torch.equal(ours[task], theirs[task]) for task in OLD)
    batch = Collator(tiny.indexer, list(grown.tasks.values()))([("tiny", row) for row in tiny.rows])
    grown.train()(batch.inputs, {"ner": batch.targets["ner"]}).tasks["ner"].total.sum().backward()
    assert all(p.grad is not None for p in grown.heads["ner"].parameters())
    assert list(before.tasks) == list(OLD)


def test_ml5_a_frozen_meta_cell_stays_bit_for_bit_while_a_new_task_is_trained(tiny_model):
    tiny = tiny_model(*OLD, sharing=sharing(META))
    grown = tiny.model.add_task(ner(tiny.rows), freeze="meta").train()
    batch = Collator(tiny.indexer, [grown.tasks["ner"]])([("tiny", row) for row in tiny.rows])
    frozen = {id(p) for p in grown.sharing.generator()}
    before = {name: p.detach().clone() for name, p in grown.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in grown.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        losses = grown(batch.inputs, {"ner": batch.targets["ner"]})
        joint_loss(losses, weights={"ner": 1.0}, words={"ner": 1}, processes=1, micro_batches=1).backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {name for name, p in grown.named_parameters() if not torch.equal(p, before[name])}
    assert not any(id(p) in frozen for name, p in grown.named_parameters() if name in moved)
    assert {f"sharing.layers.0.basic.ner.{part}" for part in ("left", "right", "generated_bias")} <= moved


def test_ml5_transfer_after_saving(tiny_model, tmp_path):
    tiny = tiny_model(*OLD, sharing=sharing(META))
    tiny.model.save_pretrained(tmp_path)
    grown = type(tiny.model).from_pretrained(tmp_path).add_task(ner(tiny.rows), freeze="meta")
    grown.save_pretrained(tmp_path / "grown")
    again = type(grown).from_pretrained(tmp_path / "grown")
    assert list(again.tasks) == [*OLD, "ner"]
    assert all(torch.equal(again.state_dict()[name], values) for name, values in grown.state_dict().items())


def test_a_name_that_is_taken(tiny_model):
    tiny = tiny_model(*OLD)
    with pytest.raises(ConfigError, match="there is a task 'upos' already"):
        tiny.model.add_task(ner(tiny.rows, name="upos"))


def test_towers_that_are_mixed_have_no_place_for_it(tiny_model):
    tiny = tiny_model(*OLD, sharing=sharing({"kind": "sluice", "tower": TOWER}))
    with pytest.raises(ConfigError, match=r"add_task: sharing\.lockstep\.mixers.*kind 'sluice'.*start_from"):
        tiny.model.add_task(ner(tiny.rows))


@pytest.mark.parametrize("kind", ["independent", "soft"])
def test_towers_of_blocks_would_not_be_pretrained(tiny_model, kind):
    blocks = {"kind": kind, "tower": {"kind": "transformer", "layers": 1}}
    tiny = tiny_model(*OLD, sharing=sharing(blocks), scalar_mix=False)
    with pytest.raises(ConfigError, match="would not start at pretrained ones but at random"):
        tiny.model.add_task(ner(tiny.rows))


def test_shared_blocks_take_a_task_more(tiny_model):
    tiny = tiny_model(*OLD, sharing=sharing({"kind": "meta_lora", "rank": 2, "meta_size": 3}), scalar_mix=False)
    grown = tiny.model.add_task(ner(tiny.rows), freeze="meta")
    assert not any(p.requires_grad for p in grown.sharing.generator())


def test_what_was_frozen_stays_so(tiny_model):
    tiny = tiny_model(*OLD, sharing=sharing(META), trainable_layers=1)
    once = tiny.model.add_task(ner(tiny.rows), freeze="meta")
    twice = once.add_task(ner(tiny.rows, name="ner2"))
    frozen = {name for name, p in once.named_parameters() if not p.requires_grad}
    assert any(name.startswith("encoder.") for name in frozen)
    assert frozen == {name for name, p in twice.named_parameters() if not p.requires_grad}


def test_another_thing_to_freeze(tiny_model):
    tiny = tiny_model(*OLD)
    with pytest.raises(ConfigError, match="freeze got 'Meta'; allowed: 'meta', None"):
        tiny.model.add_task(ner(tiny.rows), freeze="Meta")


def test_nothing_to_freeze(tiny_model):
    tiny = tiny_model(*OLD)
    with pytest.raises(ConfigError, match="kind 'hard' has no Meta-LSTM"):
        tiny.model.add_task(ner(tiny.rows), freeze="meta")
