"""Specs of sharing schemes."""

from typing import Any

import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.sharing import (
    CrossStitchSpec,
    IndependentSpec,
    SharedPrivateSpec,
    SluiceSpec,
    TransformerTowerSpec,
    transformer_towers,
)

SHARED_PRIVATE: dict[str, Any] = {
    "kind": "shared_private",
    "shared": {"kind": "bilstm"},
    "private": {"kind": "bilstm"},
}


def shared_private(**keys: Any) -> SharedPrivateSpec:
    return SharedPrivateSpec.parse({**SHARED_PRIVATE, **keys}, source="recipe")


def test_shared_private_is_parallel_with_nothing_that_separates():
    spec = shared_private()
    assert (spec.structure, spec.adversary, spec.orthogonality, spec.reconstruction) == ("parallel", None, None, 0.0)
    assert shared_private(structure="stacked").private_input == "concat"


def test_the_weights_of_what_separates_are_the_papers():
    spec = shared_private(adversary={}, orthogonality={})
    assert spec.adversary is not None
    assert spec.orthogonality is not None
    assert (spec.adversary.weight, spec.orthogonality.weight, spec.orthogonality.normalise) == (0.05, 0.01, True)


def test_stacked_private_towers_are_bilstms():
    blocks = {"kind": "transformer"}
    with pytest.raises(ConfigError, match=r"private: kind 'transformer' .* use kind 'bilstm', or structure 'parallel'"):
        shared_private(structure="stacked", private=blocks)
    assert shared_private(structure="stacked", shared=blocks).shared.kind == "transformer"
    assert shared_private(private=blocks).private.kind == "transformer"


def test_parallel_private_towers_have_no_choice_of_input():
    with pytest.raises(ConfigError, match=r"private_input 'shared_only' is for structure 'stacked'; leave it out"):
        shared_private(private_input="shared_only")


@pytest.mark.parametrize("key", ["adversary", "orthogonality"])
def test_a_weight_of_0_is_an_error_because_leaving_it_out_says_so(key: str):
    with pytest.raises(ConfigError, match=rf"{key}\.weight: got 0"):
        shared_private(**{key: {"weight": 0}})


BILSTM: dict[str, Any] = {"kind": "bilstm"}


def test_a_softmax_cannot_start_at_the_identity():
    with pytest.raises(ConfigError, match=r"softmax never gives 0, .* start at 'own_subspace'"):
        SluiceSpec.parse(
            {"kind": "sluice", "tower": BILSTM, "normalisation": "softmax", "alpha": "identity"}, source="test"
        )


@pytest.mark.parametrize(
    "values",
    [
        {"subspaces": 0},
        {"alpha": "zeros"},
        {"beta": "first"},
        {"orthogonality": -0.1},
        {"normalisation": "row"},
        {"tower": {"kind": "transformer", "layers": 0}},
        {"tower": {"kind": "bilstm", "width": 7}},
        {"connections": [[[2]]]},
    ],
)
def test_values_out_of_range_are_an_error_that_names_the_key(values: dict[str, Any]):
    with pytest.raises(ConfigError, match=next(iter(values))):
        SluiceSpec.parse({"kind": "sluice", "tower": BILSTM} | values, source="test")


@pytest.mark.parametrize("same_task", [-0.1, 1.1])
def test_the_weight_of_the_own_task_is_a_share(same_task: float):
    with pytest.raises(ConfigError, match="same_task"):
        CrossStitchSpec.parse({"kind": "cross_stitch", "tower": BILSTM, "same_task": same_task}, source="test")


def test_towers_of_blocks_are_found_by_their_key():
    blocks = TransformerTowerSpec(kind="transformer", layers=3)
    assert list(transformer_towers(IndependentSpec(kind="independent", tower=blocks))) == [("tower", blocks)]
    assert not list(transformer_towers(IndependentSpec.parse({"kind": "independent", "tower": BILSTM}, source="test")))
