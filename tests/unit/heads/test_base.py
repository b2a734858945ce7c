"""What every head has in common: K decoders, and batches without anything to learn from."""

import pytest
import torch

from seqmtl.batch import IGNORED, FrameTargets, Targets, TokenTargets
from seqmtl.heads.base import HeadLoss
from seqmtl.heads.build import build_head
from seqmtl.heads.srl import SRLHead
from seqmtl.heads.token import TokenHead
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.objectives.losses import Losses
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.tasks import CRFHeadSpec, HeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec

LABELS = LabelInventory(("O", "B-A", "B-V", "I-A"))
SPECS: dict[str, HeadSpec] = {
    "softmax": SoftmaxHeadSpec(kind="softmax", dropout=0.0),
    "softmax with hidden layer": SoftmaxHeadSpec(kind="softmax", hidden=6, dropout=0.0),
    "crf": CRFHeadSpec(kind="crf", dropout=0.0),
    "crf on a bilstm": CRFHeadSpec(kind="crf", bilstm=6, dropout=0.0),
    "predicate": PredicateHeadSpec(kind="predicate", dropout=0.0),
    "srl bilstm": SRLHeadSpec(kind="srl", width=32, dropout=0.0),
    "srl attention": SRLHeadSpec(kind="srl", width=32, dropout=0.0, contextualiser="attention"),
}
MASK = torch.tensor([[True, True, True, True], [False, False, False, False], [True, True, False, False]])


def head_of(kind: str, *, decoders: int, dropout: float = 0.0, own_dropout: bool = False) -> TokenHead | SRLHead:
    spec = SPECS[kind].model_copy(update={"dropout": dropout})
    options = {"in_features": 5, "labels": LABELS, "scheme": Scheme.BIO}
    return build_head(spec, **options, decoders=decoders, own_dropout=own_dropout)


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
    return head.scores(features, MASK)


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
    assert head.decode(head.scores(features, mask)[0], mask).shape == (2, 0)


def test_the_mean_divides_each_decoders_total_by_the_words():
    loss = HeadLoss(torch.tensor([6.0, 3.0]), torch.tensor(4.0))
    assert loss.mean().tolist() == [1.5, 0.75]


# --- several decoders: pseudo-tasks


def cost(loss: HeadLoss) -> torch.Tensor:
    """What the task adds to the joint loss of a step."""
    losses, words = Losses({"task": loss}, {}), {"task": int(loss.count)}
    return joint_loss(losses, weights={"task": 1.0}, words=words, processes=1, micro_batches=1)


def alone(head: TokenHead | SRLHead, kind: str, k: int) -> TokenHead | SRLHead:
    """A head with one decoder, the one numbered ``k``."""
    single, own = head_of(kind, decoders=1), head.own()
    single.load_state_dict({n: v[k : k + 1] if n in own else v for n, v in head.state_dict().items()})
    return single


def made_equal(head: TokenHead | SRLHead) -> TokenHead | SRLHead:
    for values in head.own().values():
        values.data.copy_(values.data[:1].clone().expand_as(values))
    return head


def labels_of(head: TokenHead | SRLHead, way: str, features: torch.Tensor, **options: int) -> torch.Tensor:
    words = (torch.tensor([[0, 1], [0, 3], [2, 0]]),) if isinstance(head, SRLHead) else ()
    return getattr(head, way)(features, MASK, *words, **options)


@pytest.mark.parametrize("kind", SPECS)
def test_what_a_decoder_has_for_itself_is_what_is_there_k_times(kind: str):
    one, three = head_of(kind, decoders=1).state_dict(), head_of(kind, decoders=3, own_dropout=True).state_dict()
    own = head_of(kind, decoders=3, own_dropout=True).own()
    assert set(own) == {name for name in three if name not in one or one[name].shape != three[name].shape}
    assert all(len(values) == 3 for values in own.values())
    assert {name for name in own if name.endswith("rates")} == {"scorer.rates"}


@pytest.mark.parametrize("kind", SPECS)
def test_pt2_equal_decoders_teach_the_encoder_what_one_teaches_and_stay_equal(kind: str):
    head, features = made_equal(head_of(kind, decoders=3)), torch.randn(3, 4, 5, requires_grad=True)
    targets, single = targets_for(head), alone(head, kind, 0)
    shared = [parameter for name, parameter in head.named_parameters() if name not in head.own()]
    theirs = [parameter for name, parameter in single.named_parameters() if name not in single.own()]
    ours = torch.autograd.grad(cost(head(features, MASK, targets)), [features, *shared])
    expected = torch.autograd.grad(cost(single(features, MASK, targets)), [features, *theirs])
    torch.testing.assert_close(ours, expected)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        cost(head(features, MASK, targets)).backward()
        optimizer.step()
    for values in head.own().values():
        torch.testing.assert_close(values, values[:1].expand_as(values), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", SPECS)
def test_with_dropout_of_their_own_equal_decoders_part(kind: str):
    head, features = made_equal(head_of(kind, decoders=2, dropout=0.5, own_dropout=True)), torch.randn(3, 4, 5)
    head(features, MASK, targets_for(head)).total.mean().backward()
    for parameter in (head.scorer.outer.weight, head.scorer.outer.bias):
        assert parameter.grad is not None
        assert not torch.allclose(parameter.grad[0], parameter.grad[1], rtol=1e-3)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("decoders", [2, 5])
def test_pt10_the_scale_of_the_loss_does_not_depend_on_the_number_of_equal_decoders(kind: str, decoders: int):
    head = made_equal(head_of(kind, decoders=decoders))
    single, features, targets = alone(head, kind, 0), torch.randn(3, 4, 5), targets_for(head)
    torch.testing.assert_close(cost(head(features, MASK, targets)), cost(single(features, MASK, targets)))


@pytest.mark.parametrize("kind", SPECS)
def test_pt10_the_loss_of_a_task_is_the_mean_over_its_decoders(kind: str):
    head, features = head_of(kind, decoders=3), torch.randn(3, 4, 5)
    targets = targets_for(head)
    single = [cost(alone(head, kind, k)(features, MASK, targets)) for k in range(3)]
    torch.testing.assert_close(cost(head(features, MASK, targets)), torch.stack(single).mean())


@torch.no_grad()
@pytest.mark.parametrize("kind", SPECS)
def test_one_decoder_of_several_says_what_it_says_alone_and_each_says_the_same_as_one(kind: str):
    head, features = head_of(kind, decoders=3).eval(), 9 * torch.randn(3, 4, 5)
    each = labels_of(head, "labels_of_each", features)
    assert each.shape[0] == 3
    assert not torch.equal(each[0], each[1])
    for k in range(3):
        expected = labels_of(alone(head, kind, k).eval(), "labels", features, decoder=0)
        assert torch.equal(labels_of(head, "labels", features, decoder=k), expected)
        assert torch.equal(each[k], expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", SPECS)
def test_an_ensemble_of_equal_decoders_or_of_one_says_what_one_says(kind: str):
    features = 9 * torch.randn(3, 4, 5)
    for head in (made_equal(head_of(kind, decoders=3)).eval(), head_of(kind, decoders=1).eval()):
        expected = labels_of(head, "labels", features, decoder=0)
        assert torch.equal(labels_of(head, "labels_of_ensemble", features), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", [kind for kind in SPECS if not kind.startswith("crf")])
def test_an_ensemble_of_softmax_decoders_goes_by_the_mean_of_their_probabilities(kind: str):
    head, features = head_of(kind, decoders=3).eval(), 9 * torch.randn(3, 4, 5)
    mean = scores_of(head, features).softmax(dim=-1).mean(dim=0)
    if isinstance(head, SRLHead):
        expected = head.decode(mean.log(), MASK, torch.tensor([[0, 1], [0, 3], [2, 0]]))
    else:
        expected = head.decode(mean.log(), MASK)
    assert torch.equal(labels_of(head, "labels_of_ensemble", features), expected)
    assert any(not torch.equal(labels_of(head, "labels", features, decoder=k), expected) for k in range(3))


@pytest.mark.parametrize("kind", ["softmax", "crf", "srl bilstm"])
def test_theorem_1_no_single_decoder_gives_the_encoder_the_gradients_of_two(kind: str):
    """Meyerson and Miikkulainen (2018): sets of pseudo-tasks of one task that no single one can simulate.

    Of a linear decoder of two labels, gradients at the features of one word lie on the line of its difference of
    weights, wherever the features are. Those of two decoders span a plane.
    """
    labels = LabelInventory(("O", "B-V"))
    ranks = {}
    for decoders in (1, 2):
        head = build_head(SPECS[kind], in_features=3, labels=labels, scheme=None, decoders=decoders)
        if isinstance(head, SRLHead):  # what its decoders read is the encoder's, whatever is in between
            head.states = lambda features, *_: features  # type: ignore[method-assign]
            head.scorer.outer.weight = torch.nn.Parameter(torch.randn(decoders, 2, 3))
        gradients = []
        for _ in range(10):  # the encoder's parameters are the features of one word: F(x; theta) = theta
            theta = torch.randn(1, 1, 3, requires_grad=True)
            word = FrameTargets if isinstance(head, SRLHead) else TokenTargets
            rows = torch.tensor([[0, 0]]) if isinstance(head, SRLHead) else torch.tensor([0])
            loss = head(theta, torch.tensor([[True]]), word(rows, torch.tensor([[1]])))
            (gradient,) = torch.autograd.grad(cost(loss), theta)
            gradients.append(gradient[0, 0])
        ranks[decoders] = int(torch.linalg.matrix_rank(torch.stack(gradients), rtol=1e-4))
    assert ranks == {1: 1, 2: 2}


@pytest.mark.parametrize("kind", ["softmax", "crf", "predicate"])
def test_a_bilstm_of_the_heads_own_reads_the_features_and_stands_beside_them(kind: str):
    spec = SPECS[kind].model_copy(update={"bilstm": 6})
    head = build_head(spec, in_features=5, labels=LABELS, scheme=None, decoders=2)
    assert isinstance(head, TokenHead)
    assert head.bilstm is not None
    features = torch.randn(3, 4, 5)
    read = torch.cat((features, head.bilstm.layers[0](features, MASK)), dim=-1)  # [B, T, 5 + 6]
    torch.testing.assert_close(head.scores(features, MASK), head.scorer(read))
    torch.testing.assert_close(head.scores_of(features, MASK, decoder=1), head.scorer(read)[1])
    head(features, MASK, targets_for(head)).total.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in head.bilstm.parameters())
    assert not {name for name in head.own() if name.startswith("bilstm")}  # it is there once
