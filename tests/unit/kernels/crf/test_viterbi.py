"""CRF Viterbi against enumeration of all label sequences."""

import itertools

import pytest
import torch

from seqmtl.kernels.crf import viterbi
from seqmtl.kernels.crf.reference import path_score


def random_crf(sentences, length, size, *, seed):
    draw = torch.Generator().manual_seed(seed)
    sizes = {"emissions": (sentences, length, size), "transitions": (size, size), "start": (size,), "end": (size,)}
    return {name: torch.randn(size, generator=draw, dtype=torch.float64) for name, size in sizes.items()}


def best_path(scores, b, length):
    """The best path of sentence ``b``, found by scoring all of them."""
    size = len(scores["start"])
    paths = torch.tensor(list(itertools.product(range(size), repeat=length)))  # [paths, length]
    emissions = scores["emissions"][b, :length].expand(1, len(paths), -1, -1)
    rest = {name: scores[name][None] for name in ("transitions", "start", "end")}
    found = path_score(emissions, **rest, labels=paths, mask=torch.ones_like(paths, dtype=torch.bool))
    return paths[found[0].argmax()].tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("forbidden", [None, -1e4, -torch.inf])
def test_viterbi_equals_brute_force(seed, forbidden):
    scores = random_crf(5, 6, 3, seed=seed)
    if forbidden is not None:
        scores["transitions"][0, 2] = scores["transitions"][1, 1] = scores["start"][2] = forbidden
    lengths = (3, 6, 1, 5, 2)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    found = viterbi(**scores, mask=mask)
    for b, length in enumerate(lengths):
        assert found[b, :length].tolist() == best_path(scores, b, length)
    assert (found[~mask] == 0).all()


def test_single_words():
    scores = random_crf(4, 1, 3, seed=9)
    found = viterbi(**scores, mask=torch.ones(4, 1, dtype=torch.bool))
    expected = (scores["emissions"][:, 0] + scores["start"] + scores["end"]).argmax(1, keepdim=True)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("lengths", [[6, 2, 4], [3]], ids=str)
def test_inputs_are_left_alone_and_padding_is_never_read(lengths):
    scores = random_crf(len(lengths), 6, 4, seed=7)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    clean = viterbi(**scores, mask=mask)
    scores["emissions"].masked_fill_(~mask[..., None], torch.nan)
    before = {name: tensor.clone() for name, tensor in scores.items()}
    assert torch.equal(viterbi(**scores, mask=mask), clean)
    assert all(torch.equal(scores[name].nan_to_num(), before[name].nan_to_num()) for name in scores)


def test_no_gradient_is_recorded_for_parameters():
    scores = {name: tensor.requires_grad_() for name, tensor in random_crf(2, 4, 3, seed=5).items()}
    assert not viterbi(**scores, mask=torch.ones(2, 4, dtype=torch.bool)).requires_grad
