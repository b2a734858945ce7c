"""Loops without the interpreter."""

import torch

from seqmtl.kernels.scripting import scripted


def total(values: torch.Tensor) -> torch.Tensor:
    found = torch.zeros([])
    for t in range(values.size(0)):
        found = found + values[t]
    return found


def test_is_compiled_where_torch_can():
    function = scripted(total)
    assert isinstance(function, torch.jit.ScriptFunction)
    assert function(torch.arange(4.0)) == 6


def test_is_the_function_itself_where_torch_cannot(monkeypatch):
    monkeypatch.delattr(torch.jit, "script")
    assert scripted(total) is total
