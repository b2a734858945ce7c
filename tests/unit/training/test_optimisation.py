import math

import pytest
import torch
from torch import nn

from seqmtl.data.tasks import Task
from seqmtl.encoders.build import InventorySizes
from seqmtl.labels import LabelInventory
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.encoders import BiLSTMEncoderSpec, CharacterCNNSpec, TransformerEncoderSpec
from seqmtl.specs.sharing import (
    BiLSTMTowerSpec,
    CrossStitchSpec,
    HardSharingSpec,
    IndependentSpec,
    JMTSpec,
    SluiceSpec,
    TransformerTowerSpec,
)
from seqmtl.specs.tasks import TaskSpec
from seqmtl.specs.training import LearningRates, TrainingSpec
from seqmtl.training.optimisation import build_optimizer, build_schedule

RATES = LearningRates(encoder=1e-4, sharing=1e-3, mixing=5e-2, heads=1e-2)
SIZES = InventorySizes(words=20, characters=20)


def task(name, kind, labels, **more):
    layer = "srl_frames" if kind in ("predicate", "srl") else name
    spec = TaskSpec.model_validate({"layer": layer, "head": {"kind": kind, **more}})
    return Task(name, spec, LabelInventory(tuple(labels.split())))


TASKS = [
    task("upos", "softmax", "A B C", hidden=8),
    task("chunk", "crf", "O B-X I-X"),
    task("predicate", "predicate", "O V"),
    task("srl", "srl", "O B-V", width=32, contextualiser="attention"),
]


def bilstm_model(sharing=None):
    encoder = BiLSTMEncoderSpec(kind="bilstm", word_dim=8, width=8, characters=CharacterCNNSpec(width=8))
    sharing = sharing or HardSharingSpec(kind="hard", tower=BiLSTMTowerSpec(kind="bilstm", width=8))
    return SeqMTLModel.from_encoder(encoder, tasks=TASKS, sharing=sharing, sizes=SIZES)


def transformer_model(folder, **changes):
    spec = TransformerEncoderSpec(
        kind="transformer", pretrained=str(folder), scalar_mix=True, characters=CharacterCNNSpec(width=8), **changes
    )
    return SeqMTLModel.from_encoder(spec, tasks=TASKS, sizes=SIZES)


def towered_model(folder, sharing, **changes):
    spec = TransformerEncoderSpec(kind="transformer", pretrained=str(folder), **changes)
    return SeqMTLModel.from_encoder(spec, tasks=TASKS, sharing=sharing, sizes=SIZES)


def blocks(layers):
    return TransformerTowerSpec(kind="transformer", layers=layers)


def settings(model, **spec):
    """(learning rate, weight decay) of each trainable parameter by name."""
    optimizer = build_optimizer(model, TrainingSpec(learning_rates=RATES, weight_decay=0.1, **spec))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)  # none stands twice
    return found


def test_every_parameter_has_the_rate_of_its_room():
    model = bilstm_model()
    found = settings(model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    rates = {"encoder": 1e-4, "sharing": 1e-3, "heads": 1e-2}
    assert all(rate == rates[name.split(".")[0]] for name, (rate, _) in found.items())
    assert {name.split(".")[0] for name in found} == set(rates)


def test_biases_norms_embeddings_and_scalars_do_not_decay_and_matrices_do(tiny_encoder):
    for model in (bilstm_model(), transformer_model(tiny_encoder)):
        spared = {name for name, (_, decay) in settings(model).items() if decay == 0.0}
        modules = dict(model.named_modules())
        for name, parameter in model.named_parameters():
            owner, _, own_name = name.rpartition(".")
            module = modules[owner]
            expected = (
                "bias" in own_name
                or isinstance(module, (nn.LayerNorm, nn.Embedding))
                or own_name in ("start", "end")  # of a CRF: a score per label
                or parameter.ndim < 2
            )
            assert (name in spared) == expected, name
        assert "heads.upos.scorer.outer.bias" in spared  # [K, L], and a bias all the same
        assert "heads.upos.scorer.outer.weight" not in spared
        assert "heads.chunk.transitions" not in spared
    assert {name for name in spared if "scalar_mix" in name}


def test_label_embeddings_do_not_decay_and_learn_like_a_tower():
    tower = BiLSTMTowerSpec(kind="bilstm", width=8)
    found = settings(bilstm_model(JMTSpec(kind="jmt", tower=tower, label_dim=4)))
    assert found["sharing.labels.upos.weight"] == (1e-3, 0.0)
    assert found["sharing.towers.upos.layers.0.forward_lstm.weight_ih_l0"] == (1e-3, 0.1)


def test_what_is_new_around_a_pretrained_encoder_learns_like_a_head(tiny_encoder):
    found = settings(transformer_model(tiny_encoder))
    fresh = [name for name in found if name.startswith("encoder.") and not name.startswith("encoder.model.")]
    assert any("scalar_mix" in name for name in fresh)
    assert any("characters" in name for name in fresh)
    assert all(found[name][0] == 1e-2 for name in fresh)
    assert all(rate == 1e-4 for name, (rate, _) in found.items() if name.startswith("encoder.model."))


def test_layer_decay_falls_from_the_top_block_to_the_embeddings(tiny_encoder):
    found = settings(transformer_model(tiny_encoder), layer_decay=0.5)
    for name, (rate, _) in found.items():
        if not name.startswith("encoder.model."):
            assert rate == 1e-2
        elif ".layer.1." in name:
            assert rate == 1e-4
        elif ".layer.0." in name:
            assert rate == pytest.approx(0.5e-4)
        else:
            assert "embeddings" in name
            assert rate == pytest.approx(0.25e-4)


def test_copies_of_pretrained_blocks_learn_like_the_encoder(tiny_encoder):
    model = towered_model(tiny_encoder, IndependentSpec(kind="independent", tower=blocks(1)))
    found = settings(model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    towers = [name for name in found if name.startswith("sharing.")]
    assert towers
    assert all(found[name][0] == 1e-4 for name in towers)
    assert {found[name][1] for name in towers} == {0.0, 0.1}  # of biases and norms, of matrices


@pytest.mark.parametrize("tower", ["bilstm", "transformer"])
def test_alpha_and_beta_have_a_rate_of_their_own_and_do_not_decay(tiny_encoder, tower):
    layers = BiLSTMTowerSpec(kind="bilstm", layers=2, width=8) if tower == "bilstm" else blocks(2)
    for sharing in (
        SluiceSpec(kind="sluice", tower=layers),
        CrossStitchSpec(kind="cross_stitch", tower=layers),
        CrossStitchSpec(kind="cross_stitch", tower=layers, granularity="channel"),
    ):
        found = settings(towered_model(tiny_encoder, sharing))
        mixing = {name for name in found if "mixers" in name or "betas" in name}
        assert len(mixing) == 2 + (4 if sharing.kind == "sluice" else 0)
        assert all(found[name] == (5e-2, 0.0) for name in mixing)
        others = [name for name in found if name.startswith("sharing.") and name not in mixing]
        assert all(found[name][0] == (1e-3 if tower == "bilstm" else 1e-4) for name in others)


@pytest.mark.parametrize("layers", [1, 2])
def test_layer_decay_goes_through_the_towers_and_on_below_them(tiny_encoder, layers):
    model = towered_model(tiny_encoder, SluiceSpec(kind="sluice", tower=blocks(layers)))
    found = settings(model, layer_decay=0.5)
    seen = set()
    for name, (rate, _) in found.items():
        if ".towers." in name:
            above = layers - 1 - int(name.split(".layers.")[1].split(".")[0])
        elif name.startswith("encoder.model."):
            above = 1 if ".layer.0." in name else 2
        else:
            assert rate in (1e-2, 5e-2)
            continue
        seen.add((name.split(".")[0], above))
        assert rate == pytest.approx(1e-4 * 0.5**above), name
    expected = (
        {("sharing", 0), ("encoder", 1), ("encoder", 2)}
        if layers == 1
        else {("sharing", 0), ("sharing", 1), ("encoder", 2)}
    )
    assert seen == expected


def test_towers_above_a_frozen_encoder_are_in_a_group(tiny_encoder):
    sharing = IndependentSpec(kind="independent", tower=blocks(1))
    model = towered_model(tiny_encoder, sharing, trainable_layers=1)
    found = settings(model)
    assert not [name for name in found if name.startswith("encoder.")]
    assert {name for name in found if name.startswith("sharing.")} == {
        f"sharing.{name}" for name, _ in model.sharing.named_parameters()
    }


def test_frozen_parameters_are_in_no_group(tiny_encoder):
    found = settings(transformer_model(tiny_encoder, trainable_layers=1))
    inside = {name for name in found if name.startswith("encoder.model.")}
    assert inside
    assert all(".layer.1." in name for name in inside)


def factors(schedule, *, warmup, steps):
    spec = TrainingSpec.model_validate({"schedule": schedule, "warmup": warmup})
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    made = build_schedule(optimizer, spec, steps=steps)
    found = []
    for _ in range(steps):
        found.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    return found, made.get_last_lr()[0]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_warm_up_rises_evenly_and_never_stands_still(schedule):
    found, _ = factors(schedule, warmup=0.5, steps=8)
    assert found[:4] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5])
    assert found[4] == pytest.approx(1.0)


def test_schedules_have_their_shapes():
    steps = 10
    constant, last_constant = factors("constant", warmup=0.0, steps=steps)
    linear, last_linear = factors("linear", warmup=0.0, steps=steps)
    cosine, last_cosine = factors("cosine", warmup=0.0, steps=steps)
    assert constant == [1.0] * steps
    assert last_constant == 1.0
    assert linear == pytest.approx([1 - step / steps for step in range(steps)])
    assert cosine == pytest.approx([(1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)])
    assert (last_linear, last_cosine) == pytest.approx((0.0, 0.0))


def test_one_step_is_enough():
    assert factors("linear", warmup=0.1, steps=1)[0] == [1.0]
