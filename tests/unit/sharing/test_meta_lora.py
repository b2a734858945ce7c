"""Updates of the top blocks that a shared network scales (ours)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from seqmtl.errors import ConfigError
from seqmtl.sharing.base import Request
from seqmtl.sharing.meta_lora import MetaLoRA
from seqmtl.specs.sharing import HardSharingSpec, MetaLoRASpec, TransformerTowerSpec

TASKS = ("upos", "chunk")


@pytest.fixture
def tiny(tiny_model):
    spec = MetaLoRASpec(kind="meta_lora", tower=TransformerTowerSpec(kind="transformer", layers=2), rank=3, meta_size=4)
    return tiny_model(*TASKS, sharing=spec, scalar_mix=False)


def moved(sharing: MetaLoRA) -> MetaLoRA:
    for own in sharing.updates.values():
        for update in own:
            torch.nn.init.normal_(update.left, std=0.3)
    return sharing


@torch.no_grad()
def test_at_first_it_is_hard_sharing_bit_for_bit(tiny, tiny_model):
    hard = tiny_model(*TASKS, sharing=HardSharingSpec(kind="hard"), scalar_mix=False).model.eval()
    hard.encoder.characters.load_state_dict(tiny.model.encoder.characters.state_dict())
    ours = tiny.model.eval().features(tiny.batch.inputs, TASKS)
    theirs = hard.features(tiny.batch.inputs, TASKS)
    assert all(torch.equal(ours[task], theirs[task]) for task in TASKS)


@torch.no_grad()
def test_the_update_is_in_the_feed_forward_part_of_each_block(tiny):
    sharing = moved(tiny.model.eval().sharing)
    entered = sharing.tower.enter(tiny.model.encoder(tiny.batch.inputs))
    hidden = entered.states
    for number, (network, update) in enumerate(zip(sharing.networks, sharing.updates["chunk"], strict=True)):
        scales, block = network(hidden), sharing.tower.layers[str(number)]
        call = entered.calls[number]
        attended = block.attention(hidden, *call.arguments, **call.options)[0]
        inner = block.intermediate(attended)
        change = torch.einsum("dz,wpz,zi,wpi->wpd", update.left, scales, update.right, inner)
        hidden = block.output.LayerNorm(block.output.dense(inner) + change + attended)
    expected = sharing.tower.leave(hidden, entered)
    found = sharing(entered, Request(("chunk",))).features["chunk"]
    torch.testing.assert_close(found[tiny.batch.inputs.word_mask], expected[tiny.batch.inputs.word_mask])


@torch.no_grad()
def test_tasks_part_also_when_threads_run_them_side_by_side(tiny):
    moved(tiny.model.eval().sharing)
    alone = {task: tiny.model.features(tiny.batch.inputs, [task])[task] for task in TASKS}
    assert not torch.isclose(alone["upos"], alone["chunk"])[tiny.batch.inputs.word_mask].all()

    states = tiny.model.encoder(tiny.batch.inputs)
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(TASKS, pool.map(lambda task: repeat(tiny.model.sharing, states, task), TASKS), strict=True))
    for task in TASKS:
        for features in found[task]:
            torch.testing.assert_close(features, alone[task])


@torch.no_grad()
def repeat(sharing, states, task):
    return [sharing(states, Request((task,))).features[task] for _ in range(20)]


def test_serving_is_what_the_features_depend_on(tiny):
    sharing = moved(tiny.model.sharing)
    states = tiny.model.encoder(tiny.batch.inputs)
    before = {id(p) for p in tiny.model.parameters() if p.grad is not None}
    sharing(states, Request(("chunk",))).features["chunk"].square().sum().backward()
    touched = {id(p) for p in sharing.parameters() if p.grad is not None}
    assert not before
    assert touched == {id(p) for p in sharing.serving(["chunk"])}


def test_sizes_of_updates_at_words(tiny):
    sharing = moved(tiny.model.eval().sharing)
    row = next(row for row in tiny.rows if len(row["tokens"]) == 9)
    states = tiny.model.encoder(tiny.indexer([row["tokens"]]))
    tables = sharing.at_words(states, TASKS)
    assert list(tables) == ["generated weights 1", "generated weights 2"]
    assert all(table.shape == (9, 2) for table in tables.values())
    assert all((table > 0).all() for table in tables.values())


def test_gradient_checkpointing_is_refused(tiny_model):
    spec = MetaLoRASpec(kind="meta_lora")
    with pytest.raises(ConfigError, match="gradient_checkpointing"):
        tiny_model(*TASKS, sharing=spec, scalar_mix=False, gradient_checkpointing=True)
