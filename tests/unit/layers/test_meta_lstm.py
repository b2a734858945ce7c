"""The cells of a Meta-LSTM layer: counts, start, norms of what they generate."""

import pytest
import torch

from seqmtl.kernels.meta_lstm import meta_lstm
from seqmtl.layers.meta_lstm import BasicCell, MetaCell, stacked


def make(d=100, h=100, m=20, z=20, *, offset=0.0, directions=1):
    meta = MetaCell(d, directions=directions, hidden=h, size=m, vector=z)
    square = meta.vector_square(offset)
    return meta, BasicCell(d, directions=directions, hidden=h, vector=meta.vector, vector_square=square, offset=offset)


@pytest.mark.parametrize(("d", "h", "m", "z"), [(100, 100, 20, 20), (200, 100, 40, 40), (7, 4, 3, 2)])
def test_ml3_counts(d, h, m, z):
    meta, basic = make(d, h, m, z)
    assert sum(p.numel() for p in meta.parameters()) == 4 * m * (d + h + m + 1) + m * z
    assert sum(p.numel() for p in basic.parameters()) == 12 * h * z + 4 * d * z


def test_ml3_counts_of_the_paper():
    meta, basic = make()
    assert sum(p.numel() for p in meta.parameters()) == 18_080
    assert sum(p.numel() for p in (basic.left, basic.right)) == 24_000  # the paper leaves B out
    without = MetaCell(200, directions=1, hidden=100, size=40, vector=None)
    assert sum(p.numel() for p in without.parameters()) == 54_560
    assert without.vector == 40


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_start_is_as_large_as_that_of_an_lstm(offset):
    torch.manual_seed(0)
    meta, basic = make(64, 48, 40, 32, offset=offset)
    inputs, mask = torch.randn(1, 32, 40, 64), torch.ones(32, 40, dtype=torch.bool)
    with torch.no_grad():
        found = meta_lstm(inputs, mask, meta.weights(), stacked([basic]), z_offset=offset)
        assert found.meta.square().mean().item() == pytest.approx(basic.vector_square, rel=0.5)
        z, x = found.meta[0, 0, :, 5:].flatten(0, 1), inputs[0, :, 5:].flatten(0, 1)  # once the cell has settled
        gates = torch.einsum("ghz,nz,gzd,nd->ngh", basic.left[0], z, basic.right[0, :, :, :64], x)
    lstm = torch.nn.LSTM(64, 48)
    for gate in lstm.weight_ih_l0.detach().chunk(4):
        torch.nn.init.xavier_uniform_(gate)
    theirs = (inputs[0] @ lstm.weight_ih_l0.T).std().item()
    assert gates.std().item() == pytest.approx(theirs, rel=0.5)


def test_with_an_offset_the_forget_bias_starts_at_1():
    _, basic = make(offset=1.0)
    bias = (basic.generated_bias @ torch.ones(20))[0]  # [4, H]
    torch.testing.assert_close(bias[2], torch.ones(100))
    assert not bias[[0, 1, 3]].any()


def test_norms_are_those_of_the_matrices():
    _, basic = make(6, 5, 3, 4, directions=2)
    vectors = torch.randn(2, 7, 4)
    matrices = torch.einsum("rghz,rtz,rgzd->rtghd", basic.left, vectors, basic.right)
    torch.testing.assert_close(basic.norms(vectors), matrices.square().sum((0, 2, 3, 4)).sqrt())
