"""Successive regularisation: METHODS.md section 1.4."""

import pytest
import torch
from torch import nn

from seqmtl.objectives.successive import SuccessiveRegularisation


@pytest.fixture
def layers() -> nn.ModuleDict:
    return nn.ModuleDict({"lstm": nn.Linear(3, 2), "head": nn.Linear(2, 4)})


def anchored(layers: nn.ModuleDict, **weights: float) -> SuccessiveRegularisation:
    regularisation = SuccessiveRegularisation(**({"delta": 1e-3, "classifier_delta": 1e-2} | weights))
    regularisation.anchor(layers.parameters(), classifiers=layers["head"].parameters())
    return regularisation


def test_jmt1_right_at_the_snapshot_the_term_is_0_and_so_is_its_gradient(layers):
    term = anchored(layers).term()
    assert term == 0.0
    term.backward()
    assert all(p.grad is not None and not p.grad.any() for p in layers.parameters())


def test_the_term_is_the_weighted_squared_distance_and_pulls_back(layers):
    regularisation = anchored(layers)
    with torch.no_grad():
        for p in layers.parameters():
            p.add_(0.5)
    term = regularisation.term()
    lstm, head = (sum(p.numel() for p in layers[name].parameters()) for name in ("lstm", "head"))
    assert term.item() == pytest.approx(0.25 * (1e-3 * lstm + 1e-2 * head), rel=1e-5)
    term.backward()
    for name, delta in (("lstm", 1e-3), ("head", 1e-2)):
        for p in layers[name].parameters():
            torch.testing.assert_close(p.grad, torch.full_like(p, 2 * delta * 0.5))


def test_a_new_anchor_replaces_the_former(layers):
    regularisation = anchored(layers)
    with torch.no_grad():
        for p in layers.parameters():
            p.add_(1.0)
    regularisation.anchor(layers["lstm"].parameters(), classifiers=[])
    regularisation.term().backward()
    assert not any(p.grad.any() for p in layers["lstm"].parameters())
    assert all(p.grad is None for p in layers["head"].parameters())


def test_without_an_anchor_there_is_no_term(layers):
    assert SuccessiveRegularisation(delta=1.0, classifier_delta=1.0).term() is None
    assert anchored(layers, delta=0.0, classifier_delta=0.0).term() is None


def test_what_does_not_learn_or_weighs_nothing_is_left_out(layers):
    layers["lstm"].weight.requires_grad_(False)
    anchored(layers, classifier_delta=0.0).term().backward()
    assert {name for name, p in layers.named_parameters() if p.grad is not None} == {"lstm.bias"}
    assert anchored(layers.requires_grad_(False)).term() is None
