"""The reference against enumeration of all label sequences."""

import itertools
import math

import pytest
import torch

from seqmtl.kernels.crf import reference
from seqmtl.kernels.crf.reference import path_score


def enumerated(emissions, transitions, start, end, length):
    """The log-partition of one sentence under one decoder, with nothing but Python floats: [T, L], [L, L], [L], [L]."""
    scores = []
    for path in itertools.product(range(emissions.shape[1]), repeat=length):
        score = float(start[path[0]] + end[path[-1]]) + sum(float(emissions[t, label]) for t, label in enumerate(path))
        scores.append(score + sum(float(transitions[pair]) for pair in itertools.pairwise(path)))
    peak = max(scores)
    return peak + math.log(sum(math.exp(score - peak) for score in scores))


@pytest.fixture
def crf():
    draw = torch.Generator().manual_seed(1)
    sizes = {"emissions": (2, 3, 4, 3), "transitions": (2, 3, 3), "start": (2, 3), "end": (2, 3)}
    return {name: torch.randn(size, generator=draw, dtype=torch.float64) for name, size in sizes.items()}


LENGTHS = (4, 1, 3)
MASK = torch.arange(4) < torch.tensor(LENGTHS)[:, None]


def test_log_partition_equals_enumeration(crf):
    crf["transitions"][0, 1, 2] = -torch.inf
    crf["transitions"][1, 0, 0] = -1e4
    found = reference.log_partition(**crf, mask=MASK)
    for k, (b, length) in itertools.product(range(2), enumerate(LENGTHS)):
        one = (crf["emissions"][k, b], crf["transitions"][k], crf["start"][k], crf["end"][k])
        assert found[k, b].item() == pytest.approx(enumerated(*one, length), abs=1e-9)


def test_path_probabilities_sum_to_one(crf):
    """Ties the partition to path_score: exp(score - partition) is a distribution over the paths of a sentence."""
    mask = torch.ones(1, 3, dtype=torch.bool)
    one = crf | {"emissions": crf["emissions"][:, :1, :3]}
    partition = reference.log_partition(**one, mask=mask)
    paths = [torch.tensor([path]) for path in itertools.product(range(3), repeat=3)]
    total = sum((path_score(**one, labels=path, mask=mask) - partition).exp() for path in paths)
    torch.testing.assert_close(total, torch.ones(2, 1, dtype=torch.float64))


def test_a_label_that_nothing_leads_to_leaves_the_gradient_finite(crf):
    crf["start"][:, 2] = -torch.inf
    crf["transitions"][:, :, 2] = -torch.inf
    scores = [tensor.requires_grad_() for tensor in crf.values()]
    gradients = torch.autograd.grad(reference.log_partition(**crf, mask=MASK).sum(), scores)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[0][..., 2] == 0).all()


def test_everything_forbidden_is_minus_infinity(crf):
    crf["start"].fill_(-torch.inf)
    assert (reference.log_partition(**crf, mask=MASK) == -torch.inf).all()
