"""Which form of the Meta-LSTM runs."""

import os
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from seqmtl.errors import ConfigError
from seqmtl.kernels.meta_lstm import fast, reference, triton
from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights

VARIABLE = "SEQMTL_META_LSTM"
FORMS = {"reference": reference.meta_lstm, "fast": fast.meta_lstm, "triton": triton.meta_lstm}


def meta_lstm(
    inputs: Tensor, mask: Tensor, meta: MetaWeights, basic: BasicWeights, *, z_offset: float = 0.0
) -> MetaStates:
    """Run the form for these tensors, or the one that the environment asks for; see ``seqmtl.kernels.meta_lstm``."""
    return form_for(inputs)(inputs, mask, meta, basic, z_offset=z_offset)


def form_for(inputs: Tensor) -> Callable[..., MetaStates]:
    """``triton`` on NVIDIA's GPUs where there is Triton, for numbers that these are made for; else ``fast``."""
    asked = os.environ.get(VARIABLE)
    if asked is not None:
        return _asked_for(asked)
    nvidia = inputs.is_cuda and torch.version.hip is None
    return FORMS["triton" if nvidia and inputs.dtype != torch.float64 and _has_triton() else "fast"]


def _asked_for(name: str) -> Callable[..., MetaStates]:
    if name not in FORMS:
        raise ConfigError(f"{VARIABLE}={name}: allowed are {', '.join(FORMS)}; or unset it, and the device decides")
    if name == "triton" and not _has_triton():
        raise ConfigError(f"{VARIABLE}=triton: Triton is not installed; torch's CUDA builds bring it, or take 'fast'")
    return FORMS[name]


def _has_triton() -> bool:
    return find_spec("triton") is not None
