"""Products by the faster library: values, and rows that do not depend on how many there are."""

import time

import pytest
import torch

from seqmtl.kernels.products import product, products


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 5, 3), (7, 64, 160), (40, 1, 9), (0, 4, 3), (4, 0, 3), (4, 3, 0)])
def test_equals_torch(shape, dtype):
    rows, inner, outputs = shape
    one, other = torch.randn(rows, inner, dtype=dtype), torch.randn(outputs, inner, dtype=dtype)
    torch.testing.assert_close(product(one, other.T), one @ other.T)
    torch.testing.assert_close(product(one, other.T.contiguous()), one @ other.T)
    assert product(one.T.contiguous().T, other.T).shape == (rows, outputs)


def test_weights_with_gaps_take_no_longer():
    rows, weights = torch.randn(256, 256), torch.randn(256, 5, 256)[:, 2]

    def seconds(weights):
        began = time.process_time()
        product(rows, weights)
        return time.process_time() - began

    assert min(seconds(weights) for _ in range(3)) < 20 * min(seconds(weights.contiguous()) for _ in range(3))
    torch.testing.assert_close(product(rows, weights), rows @ weights, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("contiguous", [True, False])
def test_a_row_does_not_depend_on_the_others(contiguous):
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        pytest.skip("torch was built without oneDNN")
    rows, weights = torch.randn(70, 64), torch.randn(160, 64).T
    weights = weights.contiguous() if contiguous else weights
    whole = product(rows, weights)
    for number in (1, 2, 3, 7, 16, 33, 64):
        assert torch.equal(product(rows[:number], weights), whole[:number]), number


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_several_products_equal_torch(dtype):
    rows, weights = torch.randn(3, 7, 5, dtype=dtype), torch.randn(3, 5, 4, dtype=dtype)
    torch.testing.assert_close(products(rows, weights), torch.bmm(rows, weights))
