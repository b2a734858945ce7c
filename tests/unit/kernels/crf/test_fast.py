"""The fast log-likelihood against the reference: values, gradients, hard numbers, padding."""

import pytest
import torch
from torch.nn import functional as F

from seqmtl.kernels.crf import fast, reference, viterbi

NAMES = ("emissions", "transitions", "start", "end")
# K, B, T, L
SHAPES = [(1, 1, 1, 1), (1, 4, 1, 5), (1, 3, 7, 1), (1, 5, 9, 8), (3, 4, 12, 5), (2, 3, 200, 23), (1, 2, 200, 4)]


def random_crf(shape, *, std=1.0, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    decoders, sentences, length, size = shape
    sizes = (shape, (decoders, size, size), (decoders, size), (decoders, size))
    scores = {
        name: torch.randn(size, generator=draw, dtype=dtype) * std for name, size in zip(NAMES, sizes, strict=True)
    }
    lengths = torch.randint(1, length + 1, (sentences,), generator=draw)
    lengths[-1] = length  # not sorted: the kernel must sort for itself
    return scores, torch.arange(length) < lengths[:, None]


def forbid(scores, forbidden, *, seed=0):
    """Forbid two transitions in five, but never a label after itself, and half of the first labels."""
    draw = torch.Generator().manual_seed(seed)
    size = scores["start"].shape[1]
    pairs = (torch.rand(size, size, generator=draw) < 0.4) & ~torch.eye(size, dtype=torch.bool)
    firsts = torch.arange(size) % 2 == 1
    scores["transitions"] = scores["transitions"].masked_fill(pairs, forbidden)
    scores["start"] = scores["start"].masked_fill(firsts, forbidden)
    return scores


def random_labels(scores, mask):
    """Labels that no score forbids, -100 where padded, which nothing may read."""
    emissions, *chain = (scores[name][0].float() for name in NAMES)
    draw = torch.Generator().manual_seed(1)
    emissions = torch.rand(emissions.shape, generator=draw).masked_fill(emissions == -torch.inf, -torch.inf)
    return viterbi(emissions, *(part.clamp(max=0) for part in chain), mask).masked_fill(~mask, -100)


def differentiated(log_likelihood, scores, mask, weights, *, labels=None):
    """Values and gradients, with a weight of its own on every sentence so that mixed-up rows show."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in scores.items()}
    labels = random_labels(scores, mask) if labels is None else labels
    values = log_likelihood(**leaves, labels=labels, mask=mask)
    total = (values * weights.to(values.dtype)).sum()
    return values, torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)


def assert_equals_reference(scores, mask, *, tolerance=1e-8):
    weights = torch.linspace(0.5, 2, len(scores["emissions"]) * len(mask)).view(-1, len(mask))
    values, gradients = differentiated(fast.log_likelihood, scores, mask, weights)
    wide = {name: tensor.double() for name, tensor in scores.items()}
    expected, expected_gradients = differentiated(reference.log_likelihood, wide, mask, weights)
    torch.testing.assert_close(values.double(), expected, rtol=max(tolerance, 1e-9), atol=tolerance)
    for name, gradient, wanted in zip(NAMES, gradients, expected_gradients, strict=True):
        message = f"gradient of {name}"
        torch.testing.assert_close(gradient.double(), wanted, rtol=1e-5, atol=tolerance, msg=lambda m, n=message: n + m)
    return values


def came_from_reference(values):
    return "_LogLikelihood" not in values.grad_fn.name()


@pytest.fixture(params=["TorchScript", "plain"])
def form(request, monkeypatch):
    """Both forms: CPUs run the first, other devices the second."""
    if request.param == "plain":
        monkeypatch.setattr(fast, "_scripts", lambda: (fast._forward, fast._backward))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("std", [1.0, 30.0])
@pytest.mark.usefixtures("form")
def test_equals_reference(shape, std):
    scores, mask = random_crf(shape, std=std)
    assert not came_from_reference(assert_equals_reference(scores, mask))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("forbidden", [-1e4, -torch.inf])
@pytest.mark.parametrize("std", [1.0, 30.0])
@pytest.mark.usefixtures("form")
def test_equals_reference_with_forbidden_transitions(shape, forbidden, std):
    scores, mask = random_crf(shape, std=std)
    assert not came_from_reference(assert_equals_reference(forbid(scores, forbidden), mask))


@pytest.mark.parametrize("std", [1.0, 30.0])
def test_float32_scores_equal_the_float64_reference(std):
    scores, mask = random_crf((2, 6, 60, 23), std=std, dtype=torch.float32)
    assert_equals_reference(forbid(scores, -1e4), mask, tolerance=1e-4)


def test_gradcheck():
    scores, mask = random_crf((2, 3, 5, 3))
    labels = random_labels(scores, mask)
    leaves = [tensor.requires_grad_() for tensor in forbid(scores, -20.0).values()]
    assert torch.autograd.gradcheck(lambda *parts: fast.log_likelihood(*parts, labels, mask), leaves)


def test_emission_gradient_is_the_labels_less_a_distribution_over_labels():
    scores, mask = random_crf((2, 5, 30, 7), std=5.0)
    labels = random_labels(scores, mask)
    _, (gradient, *_) = differentiated(fast.log_likelihood, scores, mask, torch.ones(1), labels=labels)
    taken = F.one_hot(labels.clamp(min=0), 7) * mask[..., None]
    marginals = taken - gradient
    torch.testing.assert_close(marginals.sum(3), mask.double().expand(2, -1, -1))
    assert (marginals > -1e-12).all()


def test_padding_is_never_read_and_gets_no_gradient():
    scores, mask = random_crf((2, 6, 20, 5))
    labels = random_labels(scores, mask)
    clean, clean_gradients = differentiated(fast.log_likelihood, scores, mask, torch.ones(1), labels=labels)
    scores["emissions"].masked_fill_(~mask[None, :, :, None], torch.nan)
    values, gradients = differentiated(fast.log_likelihood, scores, mask, torch.ones(1), labels=labels)
    assert torch.equal(values, clean)
    assert all(torch.equal(one, other) for one, other in zip(gradients, clean_gradients, strict=True))
    assert (gradients[0][:, ~mask] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sentence_scores_the_same_alone_and_in_any_batch(dtype):
    scores, mask = random_crf((2, 6, 20, 5), dtype=dtype)
    labels = random_labels(scores, mask)
    values = fast.log_likelihood(**scores, labels=labels, mask=mask)
    for b, length in enumerate(mask.sum(1).tolist()):
        alone = scores | {"emissions": scores["emissions"][:, b : b + 1, :length]}
        single = fast.log_likelihood(**alone, labels=labels[b : b + 1, :length], mask=mask[b : b + 1, :length])
        torch.testing.assert_close(single[:, 0], values[:, b], rtol=1e-6, atol=1e-6)


def test_columns_that_no_sentence_reaches_change_nothing():
    scores, mask = random_crf((1, 3, 8, 4))
    labels = random_labels(scores, mask)
    wider = scores | {"emissions": F.pad(scores["emissions"], (0, 0, 0, 5))}
    found = fast.log_likelihood(**wider, labels=F.pad(labels, (0, 5)), mask=F.pad(mask, (0, 5)))
    assert torch.equal(found, fast.log_likelihood(**scores, labels=labels, mask=mask))


def test_impossible_labels_get_no_gradient():
    scores, mask = random_crf((1, 4, 9, 5))
    scores["start"][:, 3] = -torch.inf
    scores["transitions"][:, :, 3] = -torch.inf  # nothing leads to label 3,
    scores["emissions"][..., 3] += 1000  # however much the words ask for it
    assert_equals_reference(scores, mask)
    _, gradients = differentiated(fast.log_likelihood, scores, mask, torch.ones(1))
    assert (gradients[0][..., 3] == 0).all()


def test_emissions_of_minus_infinity_switch_labels_off():
    scores, mask = random_crf((1, 4, 9, 5))
    scores["emissions"][:, :, ::2, 1:] = -torch.inf
    assert_equals_reference(scores, mask)


def test_when_every_path_is_forbidden_softly_the_reference_takes_over():
    scores, mask = random_crf((1, 2, 6, 3))
    scores["transitions"][:] = torch.full((3, 3), -1e4).fill_diagonal_(0)
    for t in range(6):  # the words ask for another label each time, by more than -1e4
        scores["emissions"][:, :, t] = F.one_hot(torch.tensor(t % 3), 3) * 3e4
    assert came_from_reference(assert_equals_reference(scores, mask))


def test_when_a_prefix_out_of_range_wins_the_reference_takes_over():
    """Two labels that never mix: the first leads by e^1000 half-way, the second wins in the end."""
    scores, mask = random_crf((1, 1, 40, 2))
    mask[:] = True
    scores["transitions"][:] = torch.full((2, 2), -torch.inf).fill_diagonal_(0)
    scores["emissions"][:, :, :20, 0] += 50
    scores["emissions"][:, :, 20:, 1] += 100
    assert came_from_reference(assert_equals_reference(scores, mask))


def test_forbidden_labels_are_minus_infinitely_likely():
    scores, mask = random_crf((1, 2, 6, 3))
    scores["transitions"][:, 1, 2] = -torch.inf
    labels = torch.tensor([[1, 2, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]])
    values = fast.log_likelihood(**scores, labels=labels, mask=torch.ones_like(mask))
    assert values.isneginf().tolist() == [[True, False]]


def test_where_everything_is_forbidden_there_is_no_likelihood():
    scores, mask = random_crf((1, 2, 6, 3))
    scores["start"].fill_(-torch.inf)
    labels = torch.zeros(2, 6, dtype=torch.long)
    assert fast.log_likelihood(**scores, labels=labels, mask=mask).isnan().all()


@pytest.mark.usefixtures("form")
def test_bfloat16_emissions_keep_the_precision_of_the_transitions():
    scores, mask = random_crf((1, 3, 30, 5), dtype=torch.float32)
    scores["emissions"] = scores["emissions"].bfloat16()
    values, gradients = differentiated(fast.log_likelihood, scores, mask, torch.ones(1))
    assert values.dtype == torch.float32
    assert [gradient.dtype for gradient in gradients] == [torch.bfloat16] + [torch.float32] * 3
    wide = {name: tensor.double() for name, tensor in scores.items()}
    expected = reference.log_likelihood(**wide, labels=random_labels(scores, mask), mask=mask)
    torch.testing.assert_close(values.double(), expected, rtol=1e-6, atol=1e-5)


def test_gradient_can_be_taken_again_but_not_twice_over():
    scores, mask = random_crf((1, 2, 4, 3))
    emissions = scores["emissions"].requires_grad_()
    total = fast.log_likelihood(**scores, labels=random_labels(scores, mask), mask=mask).sum()
    (first,) = torch.autograd.grad(total, emissions, retain_graph=True)
    (again,) = torch.autograd.grad(total, emissions, retain_graph=True)
    assert torch.equal(first, again)
    with pytest.raises(AssertionError, match="no gradient of its own"):
        torch.autograd.grad(total, emissions, create_graph=True)


def test_sentences_without_words_are_refused():
    scores, mask = random_crf((1, 2, 4, 3))
    mask[0] = False
    with pytest.raises(AssertionError, match="at least one word"):
        fast.log_likelihood(**scores, labels=torch.zeros_like(mask, dtype=torch.long), mask=mask)


@pytest.mark.parametrize("wider", ["emissions", "labels", "mask"])
def test_words_that_are_not_those_of_the_mask_are_refused(wider):
    scores, mask = random_crf((1, 2, 4, 3))
    given = scores | {"labels": torch.zeros(2, 4, dtype=torch.long), "mask": mask}
    pad = (0, 0, 0, 1) if wider == "emissions" else (0, 1)
    with pytest.raises(AssertionError):
        fast.log_likelihood(**given | {wider: F.pad(given[wider], pad)})
