"""The SRL head against a loop over predicates; validity, independence, and its two contextualisers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from seqmtl.batch import IGNORED, FrameTargets
from seqmtl.heads import srl
from seqmtl.heads.srl import AttentionContext, RecurrentContext, SRLHead
from seqmtl.labels import Scheme, tag_structure, violations

LABELS = ("O", "B-ARG0", "B-ARG1", "B-C-ARG1", "B-V", "I-ARG0", "I-ARG1", "I-V")
V = LABELS.index("B-V")
LENGTHS = torch.tensor([6, 2, 0, 4])
MASK = torch.arange(6) < LENGTHS[:, None]
PREDICATES = torch.tensor([[0, 1], [0, 5], [1, 0], [3, 2]])
WIDTH = 32

CONTEXTS: dict[str, type[AttentionContext] | type[RecurrentContext]] = {
    "bilstm": RecurrentContext,
    "attention": AttentionContext,
}


def head_of(context: str, *, max_distance: int = 3, decoders: int = 1, own_dropout: float | None = None) -> SRLHead:
    return SRLHead(
        5,
        len(LABELS),
        contextualiser=CONTEXTS[context](WIDTH, layers=2, dropout=0.0),
        width=WIDTH,
        max_distance=max_distance,
        dropout=own_dropout or 0.0,
        structure=tag_structure(LABELS, scheme=Scheme.BIO),
        predicate_label=V,
        decoders=decoders,
        own_dropout=own_dropout is not None,
    )


def naive_scores(head: SRLHead, features: Tensor, sentence: int, word: int) -> Tensor:
    """The scores of one predicate, computed word by word, ``[K, T, L]``, T being the sentence's own length."""
    length = int(LENGTHS[sentence])
    states = []
    for t in range(length):
        distance = max(-head.max_distance, min(head.max_distance, t - word))
        mine, its = head.word(features[sentence, t]), head.predicate(features[sentence, word])
        states.append(F.gelu(mine + its + head.distance.weight[distance + head.max_distance]))
    alone = torch.stack(states)[None]  # [1, T, M]
    context = head.contextualiser(alone, torch.ones(1, length, dtype=torch.bool))
    return head.scorer(torch.cat((alone, context), dim=-1))[:, 0]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("max_distance", [1, 3, 8])
def test_scores_equal_a_loop_over_predicates_and_words(context: str, max_distance: int):
    head, features = head_of(context, max_distance=max_distance, decoders=2), torch.randn(4, 6, 5)
    scores = head.scores(features, MASK, PREDICATES)
    assert scores.shape == (2, 4, 6, len(LABELS))
    for n, (sentence, word) in enumerate(PREDICATES.tolist()):
        expected = naive_scores(head, features, sentence, word)
        torch.testing.assert_close(scores[:, n, : expected.shape[1]], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("training", [True, False])
def test_sr5_roles_depend_on_no_other_predicate_and_no_other_sentence(context: str, training: bool):
    head, features = head_of(context).train(training), torch.randn(4, 6, 5)
    together = head.scores(features, MASK, PREDICATES)[0]
    for n, (sentence, word) in enumerate(PREDICATES.tolist()):
        length = int(LENGTHS[sentence])
        alone = head.scores(
            features[sentence : sentence + 1, :length],
            MASK[sentence : sentence + 1, :length],
            torch.tensor([[0, word]]),
        )[0, 0]
        torch.testing.assert_close(together[n, :length], alone, atol=1e-5, rtol=1e-5)
    other = torch.where(torch.arange(4)[:, None, None] == 0, features, torch.randn(4, 6, 5))
    torch.testing.assert_close(head.scores(other, MASK, PREDICATES)[0, :2], together[:2], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("context", CONTEXTS)
def test_sr4_no_predicate_has_no_scores_and_no_roles(context: str):
    head, none = head_of(context, decoders=2), torch.zeros(0, 2, dtype=torch.long)
    scores = head.scores(torch.randn(4, 6, 5), MASK, none)
    assert scores.shape == (2, 0, 6, len(LABELS))
    assert head.decode(scores[0], MASK, none).shape == (0, 6)


def test_the_loss_is_the_cross_entropy_of_the_words_of_all_predicates():
    head, features = head_of("bilstm"), torch.randn(4, 6, 5)
    labels = torch.randint(len(LABELS), (4, 6)).masked_fill(~MASK[PREDICATES[:, 0]], IGNORED)
    loss = head(features, MASK, FrameTargets(PREDICATES, labels))
    real = labels != IGNORED
    expected = F.cross_entropy(head.scores(features, MASK, PREDICATES)[0][real], labels[real], reduction="sum")
    torch.testing.assert_close(loss.total[0], expected)
    assert loss.count == 6 + 6 + 2 + 4


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 3.0, 100.0]))
def test_sr1_roles_are_valid_bio_with_b_v_at_the_predicate_and_nowhere_else(seed: int, scale: float):
    head = head_of("bilstm")
    torch.manual_seed(seed)
    decoded = head.decode(scale * torch.randn(4, 6, len(LABELS)), MASK, PREDICATES)
    for ids, (sentence, word) in zip(decoded.tolist(), PREDICATES.tolist(), strict=True):
        length = int(LENGTHS[sentence])
        assert ids[length:] == [0] * (6 - length)
        tags = [LABELS[i] for i in ids[:length]]
        assert violations(tags, scheme=Scheme.BIO) == []
        assert [t for t, tag in enumerate(tags) if tag == "B-V"] == [word]


def test_sr1_without_a_verb_label_roles_are_valid_bio_all_the_same():
    head = head_of("bilstm")
    head.predicate_label = None
    decoded = head.decode(5 * torch.randn(4, 6, len(LABELS)), MASK, PREDICATES)
    for ids, sentence in zip(decoded.tolist(), PREDICATES[:, 0].tolist(), strict=True):
        assert violations([LABELS[i] for i in ids[: int(LENGTHS[sentence])]], scheme=Scheme.BIO) == []


@pytest.mark.parametrize("grad", ["grad", "no_grad", "inference"])
def test_attention_gives_the_same_in_evaluation_as_in_training_without_dropout(grad: str):
    context = AttentionContext(64, layers=2, dropout=0.0)  # torch takes another path through it without gradients
    mask = torch.arange(7) < torch.tensor([7, 1, 4])[:, None]
    states = torch.randn(3, 7, 64)
    expected = context(states, mask)
    context.eval()
    mode = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}[grad]
    with mode():
        out = context(states, mask)
    torch.testing.assert_close(out[mask], expected.detach()[mask], atol=1e-5, rtol=1e-5)


def test_attention_equals_the_pre_norm_block_written_out():
    context = AttentionContext(64, layers=1, dropout=0.0)
    block = context.blocks[0]
    assert isinstance(block, nn.TransformerEncoderLayer)
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    states = torch.randn(2, 5, 64)
    q, k, v = (
        part.unflatten(-1, (2, 32)).transpose(1, 2)  # two heads of 32
        for part in F.linear(block.norm1(states), block.self_attn.in_proj_weight, block.self_attn.in_proj_bias).chunk(
            3, dim=-1
        )
    )
    weights = (q @ k.mT / 32**0.5).masked_fill(~mask[:, None, None], float("-inf")).softmax(dim=-1)
    attended = states + block.self_attn.out_proj((weights @ v).transpose(1, 2).flatten(-2))
    expected = attended + block.linear2(F.gelu(block.linear1(block.norm2(attended))))
    torch.testing.assert_close(context(states, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
def test_predicates_in_runs_have_the_loss_and_the_gradients_of_all_at_once(context: str):
    head = head_of(context, decoders=2)
    labels = torch.randint(len(LABELS), (4, 6)).masked_fill(~MASK[PREDICATES[:, 0]], IGNORED)
    targets = FrameTargets(PREDICATES, labels)
    found = []
    for head.pairs_at_once in (1000, 24, 1):  # one run, runs of two predicates, runs of one
        features = torch.linspace(-1, 1, 4 * 6 * 5).view(4, 6, 5).requires_grad_()
        loss = head(features, MASK, targets)
        gradients = torch.autograd.grad(loss.total.sum(), [features, *head.parameters()])
        found.append((loss.total, loss.count, *gradients))
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, another)


def test_runs_that_are_computed_again_drop_the_same_units(monkeypatch: pytest.MonkeyPatch):
    head = head_of("bilstm", decoders=2, own_dropout=0.5)
    head.pairs_at_once = 24
    labels = torch.randint(len(LABELS), (4, 6)).masked_fill(~MASK[PREDICATES[:, 0]], IGNORED)
    features, found = torch.randn(4, 6, 5), []
    for again in (True, False):
        if not again:
            monkeypatch.setattr(srl, "checkpoint", lambda function, *parts, **_: function(*parts))
        torch.manual_seed(3)
        loss = head(features, MASK, FrameTargets(PREDICATES, labels))
        found.append((loss.total, *torch.autograd.grad(loss.total.sum(), list(head.parameters()))))
    torch.testing.assert_close(*found)


def test_padding_is_left_out_when_there_are_several_decoders():
    head, features = head_of("bilstm", decoders=3), torch.randn(4, 6, 5)
    labels = torch.randint(len(LABELS), (4, 6)).masked_fill(~MASK[PREDICATES[:, 0]], IGNORED)
    scores = head.scores(features, MASK, PREDICATES)  # [K, N, T, L]
    real = labels != IGNORED
    expected = [F.cross_entropy(of_one[real], labels[real], reduction="sum") for of_one in scores]
    torch.testing.assert_close(head(features, MASK, FrameTargets(PREDICATES, labels)).total, torch.stack(expected))
