"""The packed score of given labels and its gradient against the plain one under autograd."""

import pytest
import torch

from seqmtl.kernels.crf import path
from seqmtl.kernels.crf.reference import path_score
from seqmtl.kernels.crf.words import packed, real_words, unpacked

MASK = torch.arange(6) < torch.tensor([2, 6, 1, 4])[:, None]


@pytest.fixture
def case():
    """Scores of two decoders for three labels, labels, and a gradient of each score."""
    draw = torch.Generator().manual_seed(1)
    shapes = ((2, *MASK.shape, 3), (2, 3, 3), (2, 3), (2, 3))
    scores = [torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]
    labels = torch.randint(3, MASK.shape, generator=draw).masked_fill(~MASK, -100)
    return scores, labels, torch.randn(2, len(MASK), generator=draw, dtype=torch.float64)


def test_score_and_gradients_equal_the_plain_ones(case):
    scores, labels, upstream = case
    expected = path_score(*scores, labels, MASK)
    expected_gradients = torch.autograd.grad((expected * upstream).sum(), scores)
    words = real_words(MASK)
    of_words, chosen = packed(scores[0].detach(), words), labels.flatten()[words.places]
    torch.testing.assert_close(path.score(of_words, *scores[1:], chosen, words), expected)
    there = [torch.ones_like(of_words), *(torch.ones_like(part) for part in scores[1:])]
    path.add_gradients(upstream[:, words.sentences], chosen, words, *there)
    found = [
        unpacked(there[0] - 1, words, sentences=MASK.shape[0], length=MASK.shape[1]),
        *(part - 1 for part in there[1:]),
    ]
    for one, other in zip(found, expected_gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_score_is_summed_in_float64(case):
    scores, labels, _ = case
    words = real_words(MASK)
    narrow = [scores[0].bfloat16(), *(part.float() for part in scores[1:])]
    found = path.score(packed(narrow[0], words), *narrow[1:], labels.flatten()[words.places], words)
    wide = [part.double() for part in narrow]
    torch.testing.assert_close(found, path_score(*wide, labels, MASK), rtol=1e-6, atol=1e-6)
