"""Towers of transformer blocks in every family: at step 0 they are hard sharing, bit for bit.

W windows, P pieces, D features.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from transformers import AutoConfig

from seqmtl.data.tasks import Task
from seqmtl.encoders.backbone import blocks, build_backbone
from seqmtl.encoders.build import InventorySizes
from seqmtl.encoders.cut import FAMILIES, Tap, cut, taps
from seqmtl.errors import ConfigError
from seqmtl.labels import LabelInventory
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.sharing import SharingSpec
from seqmtl.specs.tasks import TaskSpec

LONG = "the unbelievable teacher did sell x-rays in Bergamo , did she ? no she kept them for Abigail and Cabana".split()
BATCH = [["the", "teacher"], LONG, [], ["\u200b", "😀", "b" * 100, "a"], ["a"]]
NAMES = ("upos", "chunk", "ner")
TASKS = [
    Task(name, TaskSpec.parse({"layer": name, "head": {"kind": "softmax"}}, source="test"), LabelInventory(("A", "B")))
    for name in NAMES
]
SCHEMES: dict[str, dict[str, Any]] = {
    "independent": {"kind": "independent"},
    "cross-stitch": {"kind": "cross_stitch", "same_task": 1.0},
    "channels": {"kind": "cross_stitch", "same_task": 1.0, "granularity": "channel"},
    "sluice": {"kind": "sluice", "alpha": "identity", "beta": "last"},
}
LEARNING = {"kind": "sluice", "alpha": "own_subspace", "beta": "biased"}
Build = Callable[..., SeqMTLModel]


@pytest.fixture
def build(family, tmp_path: Path) -> Build:
    """Models over one pretrained encoder of each family."""
    torch.manual_seed(7)  # other random weights than those with which a model is built before it loads these
    family.backbone().save_pretrained(tmp_path)

    def made(sharing: dict[str, Any], *, layers: int | None = None, **encoder: Any) -> SeqMTLModel:
        torch.manual_seed(1)
        tower = {} if layers is None else {"tower": {"kind": "transformer", "layers": layers}}
        return SeqMTLModel.from_encoder(
            family.spec(pretrained=str(tmp_path), **encoder),
            tasks=TASKS,
            sharing=TypeAdapter[SharingSpec](SharingSpec).validate_python(sharing | tower),
            sizes=InventorySizes(),
        )

    return made


@torch.no_grad()
def features(model: SeqMTLModel, inputs) -> dict[str, Tensor]:
    return dict(model.eval().features(inputs, NAMES))


@pytest.mark.parametrize("layers", [1, 2], ids=["top", "all"])
def test_at_step_0_towers_are_hard_sharing_bit_for_bit(family, build: Build, layers: int):
    for pooling in ("first", "mean"):
        inputs = family.indexer(pooling=pooling)(BATCH)
        assert len(inputs.pieces.ids) > len(BATCH)  # windows
        assert not inputs.pieces.mask.all()  # padding
        expected = features(build({"kind": "hard"}, pooling=pooling), inputs)
        for name, scheme in SCHEMES.items():
            found = features(build(scheme, layers=layers, pooling=pooling), inputs)
            for task in NAMES:
                mask = inputs.word_mask
                assert torch.equal(found[task][mask], expected[task][mask]), (name, task)


def test_towers_learn_apart_and_the_blocks_below_run_once(family, build: Build):
    model, runs = build({"kind": "independent"}, layers=1).train(), []
    lowest = blocks(model.encoder.model)[0]
    lowest.register_forward_hook(lambda *_: runs.append(1))
    found = model.features(family.indexer()(BATCH), NAMES)
    assert len(runs) == 1
    output = found["chunk"]
    (output * torch.randn_like(output)).sum().backward()
    for task, tower in model.sharing.towers.items():
        learned = [name for name, p in tower.named_parameters() if p.grad is not None]
        assert bool(learned) == (task == "chunk")
    untouched = [name for name, p in model.encoder.named_parameters() if p.grad is None]
    assert untouched == []


def test_the_encoder_keeps_nothing_that_towers_own(build: Build):
    whole, towered = build({"kind": "hard"}), build({"kind": "independent"}, layers=1)

    def size(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    tower = size(towered.sharing.towers["upos"])
    assert tower > 0
    assert size(towered.sharing) == 3 * tower
    assert size(towered.encoder) == size(whole.encoder) - tower
    assert len(taps(towered.encoder.model)) == 1


def test_a_saved_model_with_towers_gives_the_same_bits(family, build: Build, tmp_path: Path):
    model, inputs = build(LEARNING, layers=1), family.indexer()(BATCH)
    for p in model.parameters():
        p.data.add_(torch.randn_like(p), alpha=0.05)
    expected = features(model, inputs)
    model.save_pretrained(tmp_path / "saved")
    loaded = SeqMTLModel.from_pretrained(tmp_path / "saved")
    for tensor in (*loaded.parameters(), *loaded.buffers()):
        tensor.data = tensor.data.clone()  # out of the mapped file: products round by where their factors lie
    found = features(loaded, inputs)
    assert all(torch.equal(found[task], expected[task]) for task in NAMES)


def gradients(model: SeqMTLModel, inputs) -> dict[str, Tensor]:
    torch.manual_seed(0)  # the same dropout
    found = model.train().features(inputs, NAMES)
    weights = torch.linspace(-1, 1, found["ner"].numel()).view_as(found["ner"])
    torch.stack([(features * weights).sum() for features in found.values()]).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradient_checkpointing_runs_the_blocks_of_towers_twice_and_gives_the_same_gradients(family, build: Build):
    inputs, found, calls = family.indexer()(BATCH), [], []
    for checkpointing in (False, True):
        model, seen = build(LEARNING, layers=1, gradient_checkpointing=checkpointing), []
        for tower in model.sharing.lockstep.in_order():
            inner = next(module for module in tower.layers["0"].modules() if isinstance(module, nn.Linear))
            inner.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        found.append(gradients(model, inputs))
        calls.append(len(seen))
    assert 0 < 2 * calls[0] == calls[1]
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[1].items():
        torch.testing.assert_close(gradient, found[0][name], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_with_the_blocks_below_frozen_the_towers_train(family, build: Build):
    model = build(LEARNING, layers=1, trainable_layers=1)
    assert not [name for name, p in model.encoder.named_parameters() if p.requires_grad]
    learned = gradients(model, family.indexer()(BATCH))
    towers = {f"sharing.{name}" for name, _ in model.sharing.named_parameters()}
    assert learned.keys() == towers
    assert not [name for name, gradient in learned.items() if not gradient.any() and not name.endswith("key.bias")]


def test_subspaces_of_units_are_rows_of_the_output_maps(build: Build):
    model = build(LEARNING, layers=2)
    for tower in model.sharing.lockstep.in_order():
        for number in (0, 1):
            assert [weight.shape[:2] for weight in tower.unit_weights(number)] == [(1, 16)] * 2
    assert model.sharing.omega() > 0


def test_no_tap_keeps_what_it_noted(family, build: Build):
    model = build(LEARNING, layers=2)
    features(model, family.indexer()(BATCH))
    assert [tap.call for tap in taps(model.encoder.model)] == [None, None]


# --- what cannot be cut


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("albert", {"embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}),
        ("mpnet", {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}),
        ("camembert", {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}),
        ("gpt2", {"n_embd": 16, "n_layer": 2, "n_head": 2}),
    ],
)
def test_another_family_is_an_error_that_lists_those_that_can_be_cut(kind: str, values: dict[str, Any], tmp_path: Path):
    model = build_backbone(AutoConfig.for_model(kind, vocab_size=32, **values))
    before = list(model.state_dict())
    with pytest.raises(
        ConfigError, match=rf"^sharing\.tower\.kind: .* the encoder is '{kind}': use towers of kind 'bilstm'"
    ) as caught:
        cut(model, layers=1)
    assert all(family in str(caught.value) for family in FAMILIES)
    assert list(model.state_dict()) == before


@pytest.mark.parametrize("layers", [3, 100])
def test_more_layers_than_the_encoder_has_are_an_error(family, build: Build, layers: int):
    with pytest.raises(ConfigError, match=rf"^sharing\.tower\.layers: got {layers}, .* 2 blocks; allowed: 1 to 2$"):
        build({"kind": "independent"}, layers=layers)


def test_layers_that_are_mixed_cannot_belong_to_towers(build: Build):
    with pytest.raises(ConfigError, match=r"encoder\.scalar_mix: .* sharing\.kind 'sluice'"):
        build(LEARNING, layers=1, scalar_mix=True)


def test_the_block_after_which_deberta_convolves_stays(make_family):
    def convolving() -> Any:
        config = make_family("deberta-v3").config
        config.conv_kernel_size = 3
        return build_backbone(config)

    with pytest.raises(ConfigError, match=r"^sharing\.private\.layers: got 2, .* convolves after .* use fewer"):
        cut(convolving(), layers=2, key="sharing.private")
    assert len(cut(convolving(), layers=1).blocks) == 1


@torch.no_grad()
def test_a_deberta_that_convolves_gives_the_same_bits_through_a_tower(make_family, tmp_path: Path):
    family = make_family("deberta-v3")
    family.config.conv_kernel_size = 3
    family.backbone().save_pretrained(tmp_path)
    inputs, found = family.indexer()(BATCH), []
    for sharing in ({"kind": "hard"}, {"kind": "independent", "tower": {"kind": "transformer", "layers": 1}}):
        spec = TypeAdapter[SharingSpec](SharingSpec).validate_python(sharing)
        model = SeqMTLModel.from_encoder(family.spec(pretrained=str(tmp_path)), tasks=TASKS, sharing=spec)
        found.append(features(model, inputs)["ner"][inputs.word_mask])
    assert torch.equal(*found)


def test_a_tap_hands_the_state_on_as_a_block_of_its_family_would():
    state = torch.randn(1, 2, 3)
    for family in FAMILIES.values():
        tap = Tap(nn.Identity(), family)
        output = tap(state, "mask", position=1)
        assert (output[0] if family.pair else output) is state
        call = tap.take()
        assert (call.arguments, dict(call.options)) == (("mask",), {"position": 1})
