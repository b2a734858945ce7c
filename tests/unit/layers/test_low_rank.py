"""Updates of a map word by word, against matrices written out."""

import torch

from seqmtl.layers.low_rank import ScaledLowRank, ScaleNetwork


def test_the_update_is_that_of_the_matrix_at_each_place():
    update = ScaledLowRank(5, 4, rank=3)
    torch.nn.init.normal_(update.left)
    inner, scales = torch.randn(2, 6, 5), torch.randn(2, 6, 3)
    matrices = torch.einsum("dz,btz,zi->btdi", update.left, scales, update.right)
    torch.testing.assert_close(update(inner, scales), (matrices @ inner[..., None])[..., 0])
    torch.testing.assert_close(update.norms(scales), matrices.flatten(2).norm(dim=2))


def test_it_starts_at_nothing_and_scales_start_near_1():
    update, network = ScaledLowRank(5, 4, rank=3), ScaleNetwork(6, hidden=4, rank=3)
    states = torch.randn(2, 6)
    assert not update(torch.randn(2, 5), network(states)).any()
    assert (network(torch.zeros(1, 6)) - 1.0).abs().max() < 0.5
    assert network.scales.bias.eq(1.0).all()
