"""Linear maps by oneDNN against torch's."""

import pytest
import torch
from torch.nn import functional as F

from seqmtl.kernels import linear as module
from seqmtl.kernels.linear import linear

pytestmark = pytest.mark.skipif(not module.onednn_is_there, reason="torch was built without oneDNN")


@pytest.fixture
def onednn(monkeypatch):
    """Count the products that oneDNN makes forth."""
    calls, real = [], module._forward
    monkeypatch.setattr(module, "_forward", lambda *given: calls.append(1) or real(*given))
    return calls


def tensors(*shape: int, outputs: int = 128):
    torch.manual_seed(1)
    inputs = shape[-1]
    return [torch.randn(*size, requires_grad=True) for size in (shape, (outputs, inputs), (outputs,))]


@pytest.mark.parametrize("shape", [(64, 160), (4, 16, 160)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_values_and_gradients_are_those_of_torch(onednn, shape, with_bias):
    states, weight, bias = tensors(*shape)
    given = [states, weight, *([bias] if with_bias else [])]
    ours, theirs = linear(*given), F.linear(*(one.double() for one in given))
    assert onednn
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-4)
    upstream = torch.randn_like(ours)
    found = torch.autograd.grad(ours, given, upstream)
    wanted = torch.autograd.grad(theirs, given, upstream.double())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_is_frozen_gets_no_gradient(onednn):
    states, weight, bias = tensors(64, 160)
    linear(states, weight.detach(), bias.detach()).sum().backward()
    assert onednn
    assert weight.grad is bias.grad is None
    torch.testing.assert_close(states.grad, weight.detach().sum(0).expand(64, -1))


def test_a_gradient_has_a_gradient(onednn):
    states, weight, bias = tensors(64, 160)

    def second(map_):
        (slope,) = torch.autograd.grad(map_(states, weight, bias).square().sum(), states, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), weight)[0]

    torch.testing.assert_close(second(linear), second(F.linear), rtol=1e-3, atol=1e-1)
    assert onednn


def test_views_are_read_as_they_are(onednn):
    states, weight, bias = (one.detach() for one in tensors(64, 160))
    strided = torch.stack([states, states], dim=1)[:, 0]
    torch.testing.assert_close(linear(strided, weight, bias), F.linear(states, weight, bias), rtol=1e-4, atol=1e-4)
    assert onednn


@pytest.mark.parametrize(
    ("rows", "dtype", "autocast"),
    [(1, torch.float32, False), (0, torch.float32, False), (64, torch.float64, False), (64, torch.float32, True)],
    ids=["one row", "no row", "double", "mixed precision"],
)
def test_torch_does_the_rest(onednn, rows, dtype, autocast):
    states, weight, bias = (one.detach().to(dtype) for one in tensors(max(rows, 1), 160))
    states = states[:rows]
    with torch.autocast("cpu", enabled=autocast, dtype=torch.bfloat16):
        assert linear(states, weight, bias).equal(F.linear(states, weight, bias))
    assert not onednn


def test_a_wrong_shape_is_torchs_error(onednn):
    states, weight, _ = tensors(64, 160)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        linear(states.repeat(1, 2), weight)
    assert not onednn


@pytest.mark.parametrize("kind", ["strided", "expanded", "broadcast"])
def test_a_bias_that_is_no_run_of_numbers_is_torchs(onednn, kind):
    states, weight, bias = (one.detach() for one in tensors(64, 160))
    given = {"strided": torch.stack([bias, bias], 1)[:, 0], "expanded": bias[:1].expand(128), "broadcast": bias[:1]}
    assert linear(states, weight, given[kind]).equal(F.linear(states, weight, given[kind]))
    assert not onednn


def test_the_backward_pass_keeps_only_what_it_needs(onednn):
    states, weight, bias = tensors(64, 160)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        linear(states, weight.detach(), bias.detach())
        linear(states.detach(), weight, bias)
        linear(states.detach(), weight.detach(), bias)
    assert kept == [weight.shape, states.shape]
    assert len(onednn) == 3


class Tagged(torch.Tensor):
    pass


def traced(map_, *given):
    return torch.jit.trace(map_, given, check_trace=False)(*given)


def exported(map_, *given):
    class Module(torch.nn.Module):
        def forward(self, *given):
            return map_(*given)

    return torch.export.export(Module(), given).module()(*given)


def forward_derivative(map_, states, weight, bias):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(states, torch.ones_like(states))
        return torch.autograd.forward_ad.unpack_dual(map_(dual, weight, bias)).tangent


WATCHED = {
    "jit.trace": traced,
    "export": exported,
    "vmap": lambda map_, *given: torch.func.vmap(map_, in_dims=(0, None, None))(given[0][None], *given[1:])[0],
    "jvp": lambda map_, *given: torch.func.jvp(map_, given, tuple(map(torch.ones_like, given)))[1],
    "jacobian": lambda map_, *given: torch.func.grad(lambda *g: map_(*g).sum())(*given),
    "forward derivative": forward_derivative,
    "subclass": lambda map_, *given: map_(given[0].as_subclass(Tagged), *given[1:]),
}


@pytest.mark.parametrize("how", WATCHED)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_whoever_watches_finds_torchs_own_form(onednn, how):
    given = [one.detach() for one in tensors(64, 160)]
    found, wanted = WATCHED[how](linear, *given), WATCHED[how](F.linear, *given)
    assert not onednn
    assert type(found) is type(wanted)
    torch.testing.assert_close(found, wanted)
