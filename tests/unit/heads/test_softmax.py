"""Cross-entropy per word, and decoding with and without a scheme."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from seqmtl.batch import IGNORED, TokenTargets
from seqmtl.heads.softmax import PredicateHead, SoftmaxHead, balanced_weights, word_cross_entropy
from seqmtl.labels import Scheme, tag_structure, violations

BIO = ("O", "B-A", "B-B", "I-A", "I-B")
BIOES = ("O", "B-A", "B-B", "E-A", "E-B", "I-A", "S-A")
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [False] * 5])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0, 0.0)])
def test_the_loss_equals_torchs_sum_over_the_real_words(smoothing: float, weights: tuple[float, ...] | None):
    head = SoftmaxHead(6, 4, label_smoothing=smoothing, class_weights=weights, decoders=2)
    features, rows = torch.randn(3, 5, 6), torch.tensor([0, 1])
    labels = torch.randint(4, (2, 5)).masked_fill(~MASK[:2], IGNORED)
    loss = head(features, MASK, TokenTargets(rows, labels))
    real = MASK[:2]
    for k in range(2):
        scores = F.linear(features[:2], head.scorer.outer.weight[k], head.scorer.outer.bias[k])
        expected = F.cross_entropy(
            scores[real],
            labels[real],
            weight=None if weights is None else torch.tensor(weights),
            label_smoothing=smoothing,
            reduction="sum",
        )
        torch.testing.assert_close(loss.total[k], expected)
    assert loss.count == 8


def test_smoothing_and_weights_by_hand():
    scores, weights, smoothing = torch.randn(1, 1, 3, 4), torch.tensor([1.0, 2.0, 0.5, 3.0]), 0.3
    labels = torch.tensor([[2, 0, 3]])
    log_probs = scores[0, 0].log_softmax(dim=-1)
    expected = sum(
        -0.7 * weights[y] * log_probs[t, y] - 0.3 / 4 * (weights * log_probs[t]).sum()
        for t, y in enumerate(labels[0].tolist())
    )
    found = word_cross_entropy(scores, labels=labels, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(found[0], expected)


def test_a_model_in_half_precision_has_a_loss_in_single_precision():
    head, features = SoftmaxHead(6, 4, class_weights=(1.0, 2.0, 1.0, 1.0)).bfloat16(), torch.randn(3, 5, 6)
    loss = head(features.bfloat16(), MASK, TokenTargets(torch.tensor([0]), torch.tensor([[0, 1, 2, 3, 0]])))
    assert loss.total.dtype == torch.float32


def test_rows_that_do_not_carry_the_layer_get_no_gradient():
    head, features = SoftmaxHead(6, 4), torch.randn(3, 5, 6, requires_grad=True)
    head(features, MASK, TokenTargets(torch.tensor([1]), torch.tensor([[0, 1, 2, IGNORED, IGNORED]]))).total.backward()
    assert features.grad is not None
    touched = features.grad.abs().sum(dim=-1) > 0
    assert touched.tolist() == [[False] * 5, [True] * 3 + [False] * 2, [False] * 5]


@settings(max_examples=50)
@given(data=st.data())
@pytest.mark.parametrize(("labels", "scheme"), [(BIO, Scheme.BIO), (BIOES, Scheme.BIOES)])
def test_constrained_decoding_is_valid_and_keeps_a_valid_argmax(labels: tuple[str, ...], scheme: Scheme, data):
    head = SoftmaxHead(6, len(labels), structure=tag_structure(labels, scheme=scheme))
    torch.manual_seed(data.draw(st.integers(0, 10_000)))
    scores = 3 * torch.randn(3, 5, len(labels))
    decoded = head.decode(scores, MASK)
    best = scores.argmax(dim=-1)
    assert not decoded[~MASK].any()
    for ids, argmax, mask in zip(decoded, best, MASK, strict=True):
        tags = [labels[i] for i in ids[mask]]
        assert violations(tags, scheme=scheme) == []
        free = [labels[i] for i in argmax[mask]]
        if not violations(free, scheme=scheme):
            assert tags == free


def test_free_decoding_takes_the_best_label_of_each_word():
    scores = torch.randn(3, 5, 4)
    expected = torch.where(MASK, scores.argmax(dim=-1), 0)
    assert torch.equal(SoftmaxHead(6, 4).decode(scores, MASK), expected)


def test_class_weights_are_saved_with_the_parameters():
    assert torch.equal(
        SoftmaxHead(6, 3, class_weights=(1.0, 2.0, 3.0)).state_dict()["class_weights"], torch.tensor([1.0, 2.0, 3.0])
    )


def test_a_predicate_head_tells_two_labels_apart():
    head = PredicateHead(6, decoders=3)
    assert head.scores(torch.randn(3, 5, 6), torch.ones(3, 5, dtype=torch.bool)).shape == (3, 3, 5, 2)


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
def test_balanced_weights_have_mean_one_over_words_and_give_every_label_the_same_say(counts: list[int]):
    weights = balanced_weights(counts)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True) if count]
    assert sum(shares) == pytest.approx(sum(counts))
    assert shares == pytest.approx([shares[0]] * len(shares))
    assert all(weight == 0.0 for weight, count in zip(weights, counts, strict=True) if not count)
