import pytest
import torch

from seqmtl.kernels.rows import rows_of


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_rows_come_as_often_as_they_are_asked_for():
    table = torch.randn(5, 3, requires_grad=True)
    ids = torch.tensor([[4, 0, 0], [2, 4, 0]])
    rows = rows_of(table, ids)
    assert torch.equal(rows, table[ids])
    weights = torch.arange(18.0).view(2, 3, 3)
    [gradient] = torch.autograd.grad((rows * weights).sum(), table)
    [expected] = torch.autograd.grad((table[ids] * weights).sum(), table)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.usefixtures("two_threads")
def test_on_two_threads_the_gradient_is_the_same_to_the_bit_every_time():
    table = torch.randn(200, 96, requires_grad=True)
    ids = torch.randint(0, 200, (48, 40))
    weights = torch.randn(48, 40, 96)
    first, *others = [torch.autograd.grad((rows_of(table, ids) * weights).sum(), table)[0] for _ in range(20)]
    assert all(torch.equal(gradient, first) for gradient in others)
