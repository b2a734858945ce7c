"""Copies of a model in which some modules are others."""

from torch import nn

from seqmtl.layers.replacement import with_replaced


def test_what_is_replaced_is_another_and_the_rest_is_shared():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))
    copied = with_replaced(model, lambda module: nn.Tanh() if isinstance(module, nn.ReLU) else None)
    assert [type(module) for module in copied[1]] == [nn.Tanh, nn.BatchNorm1d]
    assert isinstance(model[1][0], nn.ReLU)
    assert copied[0] is not model[0]
    assert copied[0].weight is model[0].weight
    assert copied[1][1].running_mean is model[1][1].running_mean
