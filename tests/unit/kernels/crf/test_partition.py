"""The log-partition of each direction against the reference."""

import pytest
import torch

from seqmtl.kernels.crf import reference
from seqmtl.kernels.crf.partition import partition
from seqmtl.kernels.crf.words import packed, real_words

MASK = torch.arange(30) < torch.tensor([12, 30, 1, 7])[:, None]


@pytest.mark.parametrize("std", [1.0, 30.0])
@pytest.mark.parametrize("labels", [1, 3, 8, 11])
def test_both_directions_equal_the_reference(std, labels):
    draw = torch.Generator().manual_seed(labels)
    shapes = ((2, *MASK.shape, labels), (2, labels, labels), (2, labels), (2, labels))
    scores = [torch.randn(shape, generator=draw, dtype=torch.float64) * std for shape in shapes]
    words = real_words(MASK)
    both, chains = partition(packed(scores[0], words), *scores[1:], words)
    expected = reference.log_partition(*scores, MASK)
    torch.testing.assert_close(both, expected.expand(2, -1, -1))
    assert chains.states.dtype == torch.float64
