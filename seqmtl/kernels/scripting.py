"""Loops of many small operations, without the interpreter."""

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def scripted(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """``function`` as TorchScript, which runs it without Python and, above all, without its lock.

    Torch calls TorchScript deprecated, but has nothing else for a loop over words that needs no C++ compiler on the
    user's machine. Where a release no longer has it, or the source that it reads is not there, the function itself
    gives the same results.
    """
    if not hasattr(torch.jit, "script"):
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the deprecation
        try:
            return torch.jit.script(function)  # type: ignore[return-value]  # it is called like the function
        except OSError:  # no source
            return function
