"""Which form of the Meta-LSTM runs where, without running it."""

import subprocess
import sys

import pytest
import torch

from seqmtl.errors import ConfigError
from seqmtl.kernels.meta_lstm import dispatch, fast, meta_lstm, reference, triton


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)


class Tensor:
    """What dispatch looks at, without a GPU to hold it."""

    def __init__(self, device, dtype):
        self.is_cuda, self.dtype = device == "cuda", dtype


@pytest.mark.parametrize(
    ("device", "dtype", "hip", "installed", "form"),
    [
        ("cpu", torch.float32, None, True, fast),
        ("cuda", torch.float32, None, True, triton),
        ("cuda", torch.bfloat16, None, True, triton),
        ("cuda", torch.float64, None, True, fast),
        ("cuda", torch.float32, None, False, fast),
        ("cuda", torch.float32, "6.4", True, fast),
    ],
)
def test_the_device_decides(monkeypatch, device, dtype, hip, installed, form):
    monkeypatch.setattr(dispatch, "_has_triton", lambda: installed)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert dispatch.form_for(Tensor(device, dtype)) is form.meta_lstm


@pytest.mark.parametrize(("name", "form"), [("reference", reference), ("fast", fast), ("triton", triton)])
def test_the_environment_overrules_it_at_every_call(monkeypatch, name, form):
    monkeypatch.setattr(dispatch, "_has_triton", lambda: True)
    tensor = Tensor("cpu", torch.float32)
    assert dispatch.form_for(tensor) is fast.meta_lstm
    monkeypatch.setenv("SEQMTL_META_LSTM", name)
    assert dispatch.form_for(tensor) is form.meta_lstm


def test_the_operator_runs_the_form_that_is_asked_for(monkeypatch, make_layer):
    layer = make_layer(z_offset=0.5)
    monkeypatch.setenv("SEQMTL_META_LSTM", "reference")
    found = meta_lstm(layer.inputs, layer.mask, layer.meta, layer.basic, z_offset=layer.z_offset)
    # Only the plain form leaves a gradient that has one.
    total = found.hidden.square().sum()
    (grad,) = torch.autograd.grad(total, layer.inputs, create_graph=True)
    assert grad.requires_grad
    monkeypatch.delenv("SEQMTL_META_LSTM")
    other = meta_lstm(layer.inputs, layer.mask, layer.meta, layer.basic, z_offset=layer.z_offset)
    torch.testing.assert_close(other.hidden, found.hidden)


def test_an_unknown_form(monkeypatch):
    monkeypatch.setenv("SEQMTL_META_LSTM", "cudnn")
    with pytest.raises(ConfigError, match="SEQMTL_META_LSTM=cudnn: allowed are reference, fast, triton"):
        dispatch.form_for(torch.zeros(1))


def test_triton_where_there_is_none(monkeypatch):
    monkeypatch.setattr(dispatch, "_has_triton", lambda: False)
    monkeypatch.setenv("SEQMTL_META_LSTM", "triton")
    with pytest.raises(ConfigError, match="Triton is not installed"):
        dispatch.form_for(torch.zeros(1))


def test_seqmtl_does_not_import_triton():
    code = "import sys, seqmtl.kernels.meta_lstm, seqmtl.sharing.meta_lstm; print('triton' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
