"""What every head has in common: K decoders, and batches without anything to learn from."""

import pytest
import torch

from seqmtl.batch import IGNORED, FrameTargets, Targets, TokenTargets
from seqmtl.heads.base import HeadLoss
from seqmtl.heads.build import build_head
from seqmtl.heads.srl import SRLHead
from seqmtl.heads.token import TokenHead
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.specs.tasks import CRFHeadSpec, HeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec

LABELS = LabelInventory(("O", "B-A", "B-V", "I-A"))
SPECS: dict[str, HeadSpec] = {
    "softmax": SoftmaxHeadSpec(kind="softmax", dropout=0.0),
    "softmax with hidden layer": SoftmaxHeadSpec(kind="softmax", hidden=6, dropout=0.0),
    "crf": CRFHeadSpec(kind="crf", dropout=0.0),
    "predicate": PredicateHeadSpec(kind="predicate", dropout=0.0),
    "srl bilstm": SRLHeadSpec(kind="srl", width=32, dropout=0.0),
    "srl attention": SRLHeadSpec(kind="srl", width=32, dropout=0.0, contextualiser="attention"),
}
MASK = torch.tensor([[True, True, True, True], [False, False, False, False], [True, True, False, False]])


def head_of(kind: str, *, decoders: int) -> TokenHead | SRLHead:
    return build_head(SPECS[kind], in_features=5, labels=LABELS, scheme=Scheme.BIO, decoders=decoders)


def targets_for(head: TokenHead | SRLHead) -> Targets:
    size = head.scorer.outer.weight.shape[1]
    if isinstance(head, SRLHead):
        predicates = torch.tensor([[0, 1], [0, 3], [2, 0]])
        return FrameTargets(predicates, torch.randint(size, (3, 4)).masked_fill(~MASK[[0, 0, 2]], IGNORED))
    rows = torch.tensor([0, 1])  # row 2 does not carry the layer
    return TokenTargets(rows, torch.randint(size, (2, 4)).masked_fill(~MASK[rows], IGNORED))


def scores_of(head: TokenHead | SRLHead, features: torch.Tensor) -> torch.Tensor:
    if isinstance(head, SRLHead):
        return head.scores(features, MASK, torch.tensor([[0, 1], [0, 3], [2, 0]]))
    return head.scores(features)


@pytest.mark.parametrize("kind", SPECS)
def test_three_decoders_are_three_heads_on_the_same_features(kind: str):
    head, features = head_of(kind, decoders=3), torch.randn(3, 4, 5)
    targets = targets_for(head)
    scores, loss = scores_of(head, features), head(features, MASK, targets)
    assert head.decoders == 3
    assert scores.shape[:3] == (3, 3, 4)
    assert loss.total.shape == (3,)
    for k in range(3):
        single = head_of(kind, decoders=1)
        per_decoder = {name for name, value in head.state_dict().items() if value.shape[:1] == (3,)}
        single.load_state_dict({n: v[k : k + 1] if n in per_decoder else v for n, v in head.state_dict().items()})
        torch.testing.assert_close(scores_of(single, features)[0], scores[k])
        alone = single(features, MASK, targets)
        torch.testing.assert_close(alone.total[0], loss.total[k])
        assert alone.count == loss.count


@pytest.mark.parametrize("kind", SPECS)
def test_the_count_is_the_number_of_labelled_words(kind: str):
    head = head_of(kind, decoders=1)
    count = head(torch.randn(3, 4, 5), MASK, targets_for(head)).count
    assert count == (4 + 4 + 2 if isinstance(head, SRLHead) else 4)


NOTHING = {
    "no row": (torch.tensor([], dtype=torch.long), torch.zeros(0, 4, dtype=torch.long)),
    "rows without words": (torch.tensor([1]), torch.full((1, 4), IGNORED)),
}


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("kind", SPECS)
def test_sr4_nothing_to_learn_costs_zero_with_every_parameter_in_the_graph(kind: str, nothing: str):
    head, features = head_of(kind, decoders=2), torch.randn(3, 4, 5, requires_grad=True)
    rows, labels = NOTHING[nothing]
    if isinstance(head, SRLHead):  # a sentence without a predicate, whether it has words or not
        targets: Targets = FrameTargets(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, 4, dtype=torch.long))
    else:
        targets = TokenTargets(rows, labels)
    loss = head(features, MASK, targets)
    assert torch.equal(loss.total, torch.zeros(2))
    assert loss.count == 0
    assert torch.equal(loss.mean(), torch.zeros(2))
    loss.total.sum().backward()
    for tensor in (features, *head.parameters()):
        assert tensor.grad is not None
        assert not tensor.grad.any()


@pytest.mark.parametrize("kind", SPECS)
def test_a_batch_of_empty_sentences_costs_zero_and_decodes_to_nothing(kind: str):
    head, features, mask = head_of(kind, decoders=1), torch.randn(2, 0, 5), torch.zeros(2, 0, dtype=torch.bool)
    if isinstance(head, SRLHead):
        pairs = torch.zeros(0, 2, dtype=torch.long)
        assert head(features, mask, FrameTargets(pairs, torch.zeros(0, 0, dtype=torch.long))).count == 0
        return
    targets = TokenTargets(torch.tensor([0, 1]), torch.zeros(2, 0, dtype=torch.long))
    assert head(features, mask, targets).total == 0
    assert head.decode(head.scores(features)[0], mask).shape == (2, 0)


def test_the_mean_divides_each_decoders_total_by_the_words():
    loss = HeadLoss(torch.tensor([6.0, 3.0]), torch.tensor(4.0))
    assert loss.mean().tolist() == [1.5, 0.75]
