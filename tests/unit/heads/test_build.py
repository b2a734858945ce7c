"""Specs to heads: every field of a spec arrives where it belongs."""

import pytest

from seqmtl.heads.build import build_head
from seqmtl.heads.crf import CRFHead
from seqmtl.heads.softmax import PredicateHead, SoftmaxHead
from seqmtl.heads.srl import AttentionContext, RecurrentContext, SRLHead
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.specs.tasks import CRFHeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec

SPANS = LabelInventory(("O", "B-A", "I-A"))
ROLES = LabelInventory(("O", "B-ARG0", "B-V", "I-ARG0"))


def test_a_softmax_spec():
    spec = SoftmaxHeadSpec(kind="softmax", hidden=7, dropout=0.2, label_smoothing=0.1)
    head = build_head(spec, in_features=5, labels=SPANS, scheme=Scheme.BIO, decoders=2)
    assert type(head) is SoftmaxHead
    assert head.scorer.inner is not None
    assert head.scorer.inner.weight.shape == (2, 7, 5)
    assert head.scorer.outer.weight.shape == (2, 3, 7)
    assert (head.scorer.dropout.p, head.label_smoothing, head.class_weights.tolist()) == (0.2, 0.1, [1.0, 1.0, 1.0])
    assert head.structure is not None


@pytest.mark.parametrize("spec", [SoftmaxHeadSpec(kind="softmax"), CRFHeadSpec(kind="crf")])
@pytest.mark.parametrize(("scheme", "constrained"), [(None, True), (Scheme.BIO, False)])
def test_without_a_scheme_or_by_wish_nothing_is_constrained(spec, scheme: Scheme | None, constrained: bool):
    spec = spec.model_copy(update={"constrained": constrained})
    head = build_head(spec, in_features=5, labels=SPANS, scheme=scheme)
    assert isinstance(head, SoftmaxHead | CRFHead)
    assert head.structure is None


def test_a_crf_spec():
    head = build_head(CRFHeadSpec(kind="crf", hidden=7), in_features=5, labels=SPANS, scheme=Scheme.BIO, decoders=2)
    assert isinstance(head, CRFHead)
    assert head.transitions.shape == (2, 3, 3)
    assert head.structure is not None


def test_a_predicate_spec():
    head = build_head(PredicateHeadSpec(kind="predicate"), in_features=5, labels=SPANS, scheme=None)
    assert isinstance(head, PredicateHead)


@pytest.mark.parametrize(("kind", "context"), [("bilstm", RecurrentContext), ("attention", AttentionContext)])
def test_an_srl_spec(kind, context: type):
    spec = SRLHeadSpec(kind="srl", contextualiser=kind, width=64, layers=3, max_distance=4, dropout=0.2)
    head = build_head(spec, in_features=5, labels=ROLES, scheme=Scheme.BIO, decoders=2)
    assert isinstance(head, SRLHead)
    assert isinstance(head.contextualiser, context)
    layers = head.contextualiser.stack.layers if kind == "bilstm" else head.contextualiser.blocks
    assert len(layers) == 3  # type: ignore[arg-type]
    assert head.distance.weight.shape == (9, 64)
    assert head.predicate_label == 2
    assert head.scorer.outer.weight.shape == (2, 4, 128)


def test_an_inventory_without_b_v_has_no_predicate_label():
    head = build_head(SRLHeadSpec(kind="srl"), in_features=5, labels=SPANS, scheme=Scheme.BIO)
    assert isinstance(head, SRLHead)
    assert head.predicate_label is None
