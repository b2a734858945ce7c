import json

import pytest
import torch
from safetensors.torch import save_file

from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import CheckpointError
from seqmtl.weights import check_counts, check_finite, check_layers, check_shapes, read_shapes, without_weights


def test_shapes_are_those_of_the_tensors_in_one_file_or_several(tmp_path):
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(()), "c": torch.zeros(0, 4), "d": torch.zeros(5).bool()}
    expected = {"a": (2, 3), "b": (), "c": (0, 4), "d": (5,)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert read_shapes(tmp_path) == expected
    (tmp_path / "model.safetensors").unlink()
    for name in tensors:
        save_file({name: tensors[name], "beside": torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    index = {"weight_map": {name: f"{name}.safetensors" for name in tensors}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_shapes(tmp_path) == expected  # what the index does not name is not part of the checkpoint


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_number_that_is_none_is_found_wherever_it_stands(value, dtype):
    for place in range(9):
        tensor = torch.linspace(-3, 3, 9, dtype=dtype)
        tensor[place] = value
        with pytest.raises(CheckpointError, match="NaN or infinite values: bad; training"):
            check_finite([("good", torch.ones(3)), ("bad", tensor.view(3, 3))])


def test_finite_numbers_other_kinds_and_nothing_at_all_pass():
    largest = torch.finfo(torch.float32).max
    check_finite([("a", torch.tensor([largest, -largest])), ("b", torch.ones(3).long()), ("c", torch.zeros(0, 2))])
    check_finite([("d", torch.ones(3, dtype=torch.bool)), ("e", torch.ones(3, device="meta"))])


def test_all_that_differs_is_named():
    expected = {"a": (2,), "b": (3, 4), "heads.ner.x": (1,), "same": (7,)}
    found = {"b": (4, 3), "c": (), "same": (7,)}
    with pytest.raises(CheckpointError) as caught:
        check_shapes(expected, found, tasks=["ner"])
    assert str(caught.value) == (
        "the weights do not fit config.json: missing keys: a, heads.ner.x; unexpected keys: c; "
        "mismatched keys: b (4 x 3 in the weights, 3 x 4 by config.json); there is no head of task 'ner'"
    )
    check_shapes(expected, expected, tasks=["ner"])


def test_of_very_many_that_differ_some_are_named():
    with pytest.raises(CheckpointError, match=r"missing keys: t0, t1, t2, t3, t4, and 95 more$"):
        check_shapes({f"t{number}": (1,) for number in range(100)}, {}, tasks=[])


LAYERS = ["num_hidden_layers", "n_layers", "encoder_layers", "num_layers", "num_blocks", "depth", "num_experts"]


@pytest.mark.parametrize("key", LAYERS)
def test_layers_are_counted_whatever_a_family_calls_them(key):
    config = SeqMTLConfig(backbone={"nested": [{key: 4}]}, encoder={"kind": "bilstm"})
    shapes = {f"t{number}": (1,) for number in range(4)}
    check_layers(config, shapes)
    with pytest.raises(CheckpointError, match=rf"config\.json: backbone\.nested\.0\.{key} is 4, but the weights are 3"):
        check_layers(config, dict(list(shapes.items())[:3]))


@pytest.mark.parametrize("key", ["block_sizes", "depths", "stages"])
def test_layers_are_counted_in_lists(key):
    config = SeqMTLConfig(backbone={key: [1, [2, 4]]}, encoder={"kind": "bilstm"})
    check_layers(config, {f"t{number}": (1,) for number in range(4)})
    with pytest.raises(CheckpointError, match=rf"backbone\.{key}\.1\.1 is 4, but the weights are 3"):
        check_layers(config, {f"t{number}": (1,) for number in range(3)})


@pytest.mark.parametrize("key", ["hidden_size", "block_size", "shared_expert_intermediate_size", "expert_capacity"])
def test_sizes_are_no_numbers_of_layers(key):
    check_layers(SeqMTLConfig(backbone={key: 4096, "use_layer_bias": True, "layer_norm_eps": 1e-5}), {"t": (1,)})


def test_labels_of_a_classifier_that_the_backbone_was_are_no_layers():
    check_layers(SeqMTLConfig(backbone={"label2id": {"expert": 819}, "id2label": {819: "expert"}}), {"t": (1,)})


def test_alpha_is_not_made_when_the_weights_have_no_room_for_it():
    tower = {"kind": "bilstm", "width": 8}
    task = {"spec": {"layer": "upos", "head": {"kind": "softmax"}}, "labels": ["X"]}
    config = SeqMTLConfig(
        encoder={"kind": "bilstm"},
        sharing={"kind": "sluice", "tower": tower, "subspaces": 4},
        tasks=[task | {"name": name} for name in "ab"],
    )
    check_counts(config, {"alpha": (8, 8), "b": ()})
    with pytest.raises(CheckpointError, match="subspaces is 4 for 2 tasks, but the weights have no alpha of that size"):
        check_counts(config, {"alpha": (8, 7), "b": (7,)})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "tf_model.h5", "flax_model.msgpack"])
def test_what_is_there_instead_of_weights_is_named(name):
    assert f"only {name}: loading a pickle" in without_weights(["config.json", name])
    assert "a checkpoint needs it" in without_weights(["config.json"])
