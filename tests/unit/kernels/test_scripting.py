"""Loops without the interpreter."""

from typing import Any

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


def test_a_function_whose_source_is_not_there_is_left_as_it_is():
    names: dict[str, Any] = {"__name__": "compiled_only"}
    exec("def doubled(x):\n    return x + x", names)  # as from a .pyc without its .py
    assert scripted(names["doubled"]) is names["doubled"]
