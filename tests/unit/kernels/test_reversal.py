"""Sequences from right to left."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.kernels.reversal import pick, reversal

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=5)


@given(LENGTHS)
def test_reversal_equals_reversed_lists(lengths: list[int]):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    expected = [[*reversed(range(length)), *range(length, mask.shape[1])] for length in lengths]
    assert reversal(mask).tolist() == expected


def test_pick_is_an_index():
    states = torch.randn(4, 3, 5).transpose(0, 1).requires_grad_()  # [3, 4, 5]
    first, second = torch.tensor([[2], [0]]), torch.tensor([[3, 1, 3], [0, 0, 2]])
    picked, expected = pick(states, first, second), states[first, second]
    assert torch.equal(picked, expected)
    assert picked.is_contiguous()
    grads = (torch.autograd.grad((one * 2).sum(), states)[0] for one in (picked, expected))
    assert torch.equal(*grads)
