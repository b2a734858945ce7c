"""Nested values come back as they were, from two files that anybody can read."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from seqmtl.training.record import TENSOR, read_record, write_record

KEYS = st.text().filter(lambda key: key != TENSOR)  # which is refused; Hypothesis takes it from the source
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(st.dictionaries(KEYS, PLAIN))
def test_plain_values_come_back_as_they_were(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("record") / "it"
    write_record(path, content)
    assert read_record(path) == content


def test_tensors_come_back_bit_by_bit_wherever_they_stand(tmp_path):
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    content = {
        "scalar": torch.tensor(3.0),
        "nested": [{"a/b": torch.arange(6).reshape(2, 3).T}, [torch.empty(0, 2)]],
        "nested/0": torch.get_rng_state(),  # a name that a path could be taken for
        "": {"": torch.ones(2, dtype=torch.bfloat16, requires_grad=True)},
        "odd": odd,
    }
    write_record(tmp_path / "it", content)
    back = read_record(tmp_path / "it")
    assert torch.equal(back["scalar"], content["scalar"])
    assert torch.equal(back["nested"][0]["a/b"], content["nested"][0]["a/b"])
    assert back["nested"][1][0].shape == (0, 2)
    assert torch.equal(back["nested/0"], content["nested/0"])
    assert torch.equal(back[""][""], content[""][""])
    assert not back[""][""].requires_grad
    assert torch.equal(back["odd"].view(torch.int32), odd.view(torch.int32))
    assert back["odd"].data_ptr() % 64 == 0  # where a tensor that was never saved would lie


def test_tensors_that_share_memory_come_back_apart(tmp_path):
    weight = torch.ones(3)
    write_record(tmp_path / "it", {"a": weight, "b": weight, "c": weight[1:]})
    back = read_record(tmp_path / "it")
    back["a"].zero_()
    assert torch.equal(back["b"], torch.ones(3))
    assert torch.equal(back["c"], torch.ones(2))


def test_tuples_become_lists_and_counters_mappings(tmp_path):
    write_record(tmp_path / "it", {"a": (1, (2, None)), "b": Counter("aab")})
    assert read_record(tmp_path / "it") == {"a": [1, [2, None]], "b": {"a": 2, "b": 1}}


def test_there_are_two_files_of_known_formats(tmp_path):
    write_record(tmp_path / "it", {"a": {"b": torch.ones(2)}, "c": 1})
    assert {path.name for path in tmp_path.iterdir()} == {"it.json", "it.safetensors"}
    assert json.loads((tmp_path / "it.json").read_text()) == {"a": {"b": {"<tensor>": "/a/b"}}, "c": 1}
    assert list(load_file(tmp_path / "it.safetensors")) == ["/a/b"]


@pytest.mark.parametrize(
    ("content", "error"),
    [({"a": {1: 2}}, AssertionError), ({"a": {TENSOR: 1}}, AssertionError), ({"a": {1, 2}}, TypeError)],
)
def test_what_json_does_not_keep_is_a_programmers_mistake(tmp_path, content, error):
    with pytest.raises(error):
        write_record(tmp_path / "it", content)
