"""The score of given labels against a sum in plain Python."""

import itertools

import pytest
import torch

from seqmtl.kernels.crf.reference import path_score

LENGTHS = (5, 1, 3)
MASK = torch.arange(5) < torch.tensor(LENGTHS)[:, None]


@pytest.fixture
def crf():
    draw = torch.Generator().manual_seed(2)
    sizes = {"emissions": (2, 3, 5, 4), "transitions": (2, 4, 4), "start": (2, 4), "end": (2, 4)}
    return {name: torch.randn(size, generator=draw, dtype=torch.float64) for name, size in sizes.items()}


@pytest.fixture
def labels():
    return torch.randint(4, (3, 5), generator=torch.Generator().manual_seed(3)).masked_fill(~MASK, -100)


def test_equals_sum_along_the_path(crf, labels):
    found = path_score(**crf, labels=labels, mask=MASK)
    for k, (b, length) in itertools.product(range(2), enumerate(LENGTHS)):
        path = labels[b, :length].tolist()
        expected = crf["start"][k, path[0]] + crf["end"][k, path[-1]]
        expected += sum(crf["emissions"][k, b, t, label] for t, label in enumerate(path))
        expected += sum(crf["transitions"][k, source, target] for source, target in itertools.pairwise(path))
        torch.testing.assert_close(found[k, b], expected)


def test_a_forbidden_transition_on_the_path_is_minus_infinity_and_elsewhere_does_not_matter(crf, labels):
    clean = path_score(**crf, labels=labels, mask=MASK)
    taken = {pair for b, length in enumerate(LENGTHS) for pair in itertools.pairwise(labels[b, :length].tolist())}
    for pair in itertools.product(range(4), repeat=2):
        transitions = crf["transitions"].clone()
        transitions[:, pair[0], pair[1]] = -torch.inf
        found = path_score(**crf | {"transitions": transitions}, labels=labels, mask=MASK)
        on_path = [pair in itertools.pairwise(labels[b, :length].tolist()) for b, length in enumerate(LENGTHS)]
        expected = torch.where(torch.tensor(on_path), -torch.inf, clean)
        assert torch.equal(found, expected), (pair, taken)


def test_gradcheck(crf, labels):
    leaves = [tensor.requires_grad_() for tensor in crf.values()]
    assert torch.autograd.gradcheck(lambda *parts: path_score(*parts, labels, MASK), leaves)


def test_bfloat16_emissions_are_summed_in_the_dtype_of_the_transitions(crf, labels):
    scores = {name: tensor.float() for name, tensor in crf.items()} | {"emissions": crf["emissions"].bfloat16()}
    found = path_score(**scores, labels=labels, mask=MASK)
    wide = {name: tensor.double() for name, tensor in scores.items()}
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), path_score(**wide, labels=labels, mask=MASK), rtol=1e-6, atol=1e-5)
