"""Nested values as two files: tensors in safetensors, everything else in JSON. Nothing is pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

TENSOR = "<tensor>"  # the only key of what stands in the JSON for a tensor


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``path.json`` and ``path.safetensors``.

    Args:
        path: of both files, without their suffix.
        content: mappings with strings as keys, lists, tensors, and what JSON has; a tuple comes back as a list.
    """
    tensors: dict[str, Tensor] = {}
    plain = _without_tensors(content, name="", tensors=tensors)
    save_file(tensors, path.with_suffix(".safetensors"))
    path.with_suffix(".json").write_text(json.dumps(plain), encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    """Read what ``write_record`` wrote; tensors are on the CPU."""
    plain = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return _with_tensors(plain, load_file(path.with_suffix(".safetensors")))


def _without_tensors(value: Any, *, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # A copy: two names may share one memory, which safetensors refuses.
        tensors[name] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {TENSOR: name}
    if isinstance(value, Mapping):
        assert all(isinstance(key, str) and key != TENSOR for key in value), f"{name}: a key that JSON does not keep"
        return {key: _without_tensors(inner, name=f"{name}/{key}", tensors=tensors) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(inner, name=f"{name}/{i}", tensors=tensors) for i, inner in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]].clone()  # in memory of its own: the file lies at odd addresses
        return {key: _with_tensors(inner, tensors) for key, inner in value.items()}
    return [_with_tensors(inner, tensors) for inner in value] if isinstance(value, list) else value
